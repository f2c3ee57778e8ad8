//! A model as one file has it, whether it lies in one or in a folder of diffusers: a folder has queries, keys and values of
//! OpenCLIP's encoders apart and calls their layers as transformers does, a file has them in one matrix.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use lorabake_recipe::model::Family;
use lorabake_weights::checkpoint::{Prediction, Purpose};
use lorabake_weights::keys::net_forms;
use lorabake_weights::{Checkpoint, stream};
use safetensors::Dtype;

use crate::error::Result;
use crate::output::is_float;
use crate::writer::Content;

/// What keys of CLIP-L begin with.
const CLIP_L: [&str; 2] = ["cond_stage_model.transformer.", "conditioner.embedders.0.transformer."];
/// What keys of OpenCLIP's encoders begin with.
const OPEN_CLIP: [&str; 2] = ["cond_stage_model.model.", "conditioner.embedders.1.model."];
/// The layers that one matrix joins, from its first rows to its last.
const JOINED: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// An open model.
#[derive(Debug)]
pub struct Model {
    checkpoint: Checkpoint,
    names: Vec<String>,
    /// Tensors that are called or cut otherwise in the checkpoint.
    others: BTreeMap<String, Other>,
}

/// A tensor that is called or cut otherwise in a folder.
#[derive(Debug)]
struct Other {
    /// What it is there: itself, or parts one under another.
    parts: Vec<String>,
    shape: Vec<usize>,
}

impl From<Checkpoint> for Model {
    fn from(checkpoint: Checkpoint) -> Self {
        let mut names = Vec::new();
        let mut others = BTreeMap::new();
        for name in checkpoint.names() {
            match Place::of(&checkpoint, name) {
                Place::Own => names.push(name.clone()),
                Place::Other(key, other) => {
                    names.push(key.clone());
                    others.insert(key, other);
                }
                Place::PartOfAnother => {}
            }
        }
        if !others.is_empty() {
            names.sort();
        }
        Self { checkpoint, names, others }
    }
}

/// Where a tensor of a checkpoint is in one file.
enum Place {
    /// Under its own name.
    Own,
    /// Under another, perhaps with others.
    Other(String, Other),
    /// In a tensor that another name stands for.
    PartOfAnother,
}

impl Place {
    fn of(checkpoint: &Checkpoint, name: &str) -> Self {
        if let Some((prefix, rest)) = split(&CLIP_L, name) {
            return match (in_text_model(rest), checkpoint.shape(name)) {
                (Some(rest), Some(shape)) => {
                    let other = Other { parts: vec![name.to_string()], shape: shape.to_vec() };
                    Self::Other(format!("{prefix}{rest}"), other)
                }
                _ => Self::Own,
            };
        }
        let Some((prefix, rest)) = split(&OPEN_CLIP, name) else { return Self::Own };
        let full = in_text_model(rest);
        let rest = full.as_deref().unwrap_or(rest);
        if !rest.starts_with("text_model.") && rest != "text_projection.weight" {
            return Self::Own;
        }
        let Some((key, third)) = net_forms::open_clip_key(rest) else { return Self::Own };
        let Some(shape) = checkpoint.shape(name) else { return Self::Own };
        let key = format!("{prefix}{key}");
        match third {
            None => Self::Other(key, Other { parts: vec![name.to_string()], shape: shape.to_vec() }),
            Some(third) => {
                let parts = JOINED.map(|part| name.replace(&format!(".{}.", JOINED[third]), &format!(".{part}.")));
                // What is damaged stays what it is.
                if parts.iter().any(|part| checkpoint.shape(part) != Some(shape)) {
                    return Self::Own;
                }
                if third > 0 {
                    return Self::PartOfAnother;
                }
                let mut joined = shape.to_vec();
                if let Some(rows) = joined.first_mut() {
                    *rows *= JOINED.len();
                }
                Self::Other(key, Other { parts: parts.to_vec(), shape: joined })
            }
        }
    }
}

/// A key in two: one of these beginnings, and the rest.
fn split<'k>(prefixes: &[&'static str], key: &'k str) -> Option<(&'static str, &'k str)> {
    prefixes.iter().find_map(|prefix| Some((*prefix, key.strip_prefix(prefix)?)))
}

/// A name with the `text_model.` in front that transformers has left out since its version 5; `None` if it has it.
fn in_text_model(rest: &str) -> Option<String> {
    let starts = ["embeddings.", "encoder.layers.", "final_layer_norm."];
    if starts.iter().any(|start| rest.starts_with(start)) { Some(format!("text_model.{rest}")) } else { None }
}

impl Model {
    /// Opens a model, with the VAE at `vae` in the place of its own.
    ///
    /// # Errors
    /// When it cannot be read, or is no model.
    pub fn open(path: &Path, vae: Option<&Path>) -> Result<Self> {
        Ok(Checkpoint::open_for(Purpose::Painting, path, vae)?.into())
    }

    /// The checkpoint as it lies there.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.checkpoint.family()
    }

    /// What it says that its UNet predicts.
    pub fn prediction(&self) -> Option<Prediction> {
        self.checkpoint.prediction()
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        self.checkpoint.label()
    }

    /// The text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.checkpoint.metadata()
    }

    /// The names of all tensors.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match self.others.get(name) {
            Some(other) => Some(&other.shape),
            None => self.checkpoint.shape(name),
        }
    }

    /// The type of a tensor's numbers; where it is of several, that of the first.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.checkpoint.dtype(self.parts(name).0)
    }

    /// The name of a tensor in the checkpoint, and those of what follows below it.
    fn parts<'n>(&'n self, name: &'n str) -> (&'n str, &'n [String]) {
        match self.others.get(name).map(|other| other.parts.as_slice()) {
            Some([first, rest @ ..]) => (first, rest),
            _ => (name, &[]),
        }
    }

    /// The numbers of a tensor, row-major.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let (first, rest) = self.parts(name);
        let mut values = self.checkpoint.read_f32(first)?;
        for part in rest {
            values.extend(self.checkpoint.read_f32(part)?);
        }
        Ok(values)
    }

    /// The bytes of a tensor in its type.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn copied(&self, name: &str) -> Result<Cow<'_, [u8]>> {
        let (first, rest) = self.parts(name);
        let bytes = self.checkpoint.copied(first)?;
        if rest.is_empty() {
            return Ok(bytes);
        }
        let mut bytes = bytes.into_owned();
        let dtype = self.checkpoint.dtype(first);
        for part in rest {
            match dtype {
                Some(dtype) if self.checkpoint.dtype(part) != Some(dtype) => {
                    bytes.extend(stream::encode(&self.checkpoint.read_f32(part)?, dtype).bytes);
                }
                _ => bytes.extend_from_slice(&self.checkpoint.copied(part)?),
            }
        }
        Ok(Cow::Owned(bytes))
    }

    /// Says that the bytes of a tensor have been used: they need not stay in memory.
    pub fn release(&self, name: &str) {
        let (first, rest) = self.parts(name);
        self.checkpoint.release(first);
        for part in rest {
            self.checkpoint.release(part);
        }
    }

    /// A tensor as it is written in the type `dtype`: its bytes where that is its own, and whole numbers as they are.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn content(&self, name: &str, dtype: Dtype) -> Result<Content<'_>> {
        let same = self.dtype(name) == Some(dtype) || !is_float(dtype);
        Ok(match same {
            true => Content::Bytes(self.copied(name)?),
            false => Content::Values(self.read_f32(name)?),
        })
    }
}
