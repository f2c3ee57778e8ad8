//! What earlier runs left under the names that a new run writes: it is kept under another name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_recipe::output::Output;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::{file_names, metadata, whole_file};

/// Knows which files are of this run, and when it began.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// As in `20261130-073500`; part of the names of all that this run puts aside.
    date: String,
    /// Files and states that this run has written, and may write again.
    own: BTreeSet<PathBuf>,
    /// The seed of a run that goes on from its own state: what has its name and this seed is its own too.
    resumed: Option<u64>,
}

impl Earlier {
    /// For a run that begins now, with this seed.
    pub fn new(output: &Output, seed: u64) -> Self {
        let resumed = if resumes_itself(output) { Some(seed) } else { None };
        Self { date: metadata::local_date(), own: BTreeSet::new(), resumed }
    }

    /// Keeps the file at `path` under another name too, if this run has not written it; returns that.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self, path: &Path) -> Result<Option<PathBuf>> {
        if self.own.contains(path) || !path.is_file() {
            return Ok(None);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut old = path.with_file_name(file_names::old(&name, &self.date));
        let mut number = 2;
        // Of a run that began in the same second.
        while old.exists() {
            old = path.with_file_name(file_names::old(&name, &format!("{}-{number}", self.date)));
            number += 1;
        }
        let why = || format!("{}: the earlier file cannot be kept as {}", path.display(), old.display());
        whole_file::keep_as(path, &old).with_context(why)?;
        Ok(Some(old))
    }

    /// This run has written `path`.
    pub fn wrote(&mut self, path: &Path) {
        self.own.insert(path.to_owned());
    }

    /// Whether this run may delete a LoRA or the file of a state: it wrote it, or did so before it was stopped.
    pub fn is_own(&self, path: &Path) -> bool {
        if self.own.contains(path) {
            return true;
        }
        let Some(seed) = self.resumed else { return false };
        let Ok(file) = TensorFile::open(path) else { return false };
        let metadata = file.metadata();
        metadata.get("ss_seed").or(metadata.get("seed")) == Some(&seed.to_string())
    }

    /// Whether the LoRA at `path` has the weights of that which was kept as `kept`: a run that goes on makes those again
    /// that it made before it was stopped.
    pub fn is_made_again(&self, kept: &Path, path: &Path) -> bool {
        self.resumed.is_some() && same_weights(kept, path)
    }
}

/// Whether the run goes on from a state that a run of this very name left in this folder, whose files are its own.
pub(crate) fn resumes_itself(output: &Output) -> bool {
    let Some(state) = &output.resume else { return false };
    let (Ok(state), Ok(dir)) = (state.canonicalize(), output.dir.canonicalize()) else { return false };
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    state.parent() == Some(&dir) && file_names::moment_of_state(&name, &output.name).is_some()
}

/// Whether two LoRAs hold the same weights, whatever their metadata say.
fn same_weights(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (TensorFile::open(one), TensorFile::open(other)) else { return false };
    let names = one.names();
    names == other.names() && names.iter().all(|name| one.bytes(name) == other.bytes(name))
}
