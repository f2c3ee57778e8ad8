//! What earlier runs left under the names that a new run writes: it is kept under another name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_recipe::output::Output;
use lorabake_weights::{file_names, metadata, whole_file};

use super::names::resumes_itself;

/// Knows which files are of this run, and when it began.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// As in `20261130-073500`; part of the names of all that this run puts aside.
    date: String,
    /// Files that this run has written, and may write again.
    own: BTreeSet<PathBuf>,
    /// Whether the run goes on from its own state, so that all files of its name are its own.
    resumed: bool,
}

impl Earlier {
    /// For a run that begins now.
    pub fn new(output: &Output) -> Self {
        Self { date: metadata::local_date(), own: BTreeSet::new(), resumed: resumes_itself(output) }
    }

    /// Keeps the file at `path` under another name too, if an earlier run wrote it; returns that.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self, path: &Path) -> Result<Option<PathBuf>> {
        if self.resumed || self.own.contains(path) || !path.is_file() {
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
}
