//! Networks beside a model, each alone in a file: opened, recognised, its tensors under the names that model code uses.
//!
//! A file that holds another thing is called by its name. Which tensors a network needs is not decided here but by whoever
//! reads it through [`NetworkFile::loader`].

use std::collections::BTreeMap;
use std::sync::Arc;

use lorabake_recipe::model::Family;

use crate::Error;
use crate::file_kind::relatives;
use crate::file_kind::{self, FileKind};
use crate::loader::{Base, Kind, Loader, Network};
use crate::tensors::Tensors;

pub mod control;
pub mod detector;
pub mod upscaler;

/// The largest extent of a tensor; no real network comes near it.
const MOST: usize = 1 << 20;

/// A file that holds one network beside a model.
#[derive(Debug)]
pub struct NetworkFile {
    tensors: Arc<Tensors>,
    /// What it is in messages.
    kind: &'static str,
    /// The family of the model that it stands beside; of no meaning for one that needs no model.
    family: Family,
    /// Key in the file and name of each tensor.
    names: Vec<(String, String)>,
    /// What is added to its tensors.
    base: Option<Base>,
}

impl NetworkFile {
    /// Reads the network's tensors by name.
    pub fn loader(&self) -> Loader<'_> {
        let mut names = Vec::new();
        for (key, name) in &self.names {
            names.push((key.as_str(), name.clone()));
        }
        Loader::of(Network {
            tensors: &self.tensors,
            label: self.label(),
            kind: Kind::Alone(self.kind),
            family: self.family,
            names,
            base: self.base.as_ref(),
        })
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        self.tensors.label()
    }

    /// What it is, in messages.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The file's text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.tensors.metadata()
    }
}

/// The error that says why a file cannot be used as what it is given as.
fn wrong(file: &str, reason: impl Into<String>) -> Error {
    Error::WrongKind { file: file.to_string(), reason: reason.into() }
}

/// What a file is that is not `wanted`, such as "a ControlNet", in the form "it is …, not a ControlNet; give a ControlNet".
fn not_the(wanted: &str, tensors: &Tensors) -> Error {
    let is = match (relatives::find(tensors), file_kind::kind(tensors)) {
        (Some(relative), _) => relative.is().to_string(),
        (None, FileKind::Unknown) => "a file of other tensors".to_string(),
        (None, kind) => format!("a {}", kind.name()),
    };
    wrong(tensors.label(), format!("it is {is}, not {wanted}; give {wanted}"))
}

/// Refuses a tensor of the network that no network can have, before its size decides how much memory is taken.
fn check_shapes(tensors: &Tensors, names: &[(String, String)]) -> Result<(), Error> {
    for (key, _) in names {
        let shape = tensors.shape(key).unwrap_or_default();
        if shape.iter().any(|extent| *extent == 0 || *extent > MOST) {
            let reason = format!("it is damaged: tensor {key} has the impossible shape {shape:?}; use another copy");
            return Err(wrong(tensors.label(), reason));
        }
    }
    Ok(())
}
