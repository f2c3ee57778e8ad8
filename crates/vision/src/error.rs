//! What may be wrong with a tagger or a detector, and with its files: one line each.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

/// What is wrong with a model, or with a file beside it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network itself.
    #[error(transparent)]
    Network(#[from] lorabake_onnx::Error),
    /// A file or folder, and what to do.
    #[error("{}: {what}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong; what to do.
        what: String,
    },
}

impl Error {
    /// `what` is wrong with the file at `path`.
    pub(crate) fn of(path: &Path, what: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), what: what.into() }
    }
}

/// A name from a stranger's file, on one line and not too long.
pub(crate) struct Name<'a>(pub &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const LONG: usize = 60;
        let mut count = 0;
        for symbol in self.0.chars().take(LONG) {
            write!(f, "{}", if symbol.is_control() { ' ' } else { symbol })?;
            count += 1;
        }
        if count == LONG { write!(f, "…") } else { Ok(()) }
    }
}
