//! What stops a change of captions or images. One line each, with the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Something that stops a change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used as it is.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong; what to do.
        problem: String,
    },
    /// Files are not as they were when they were read, or when the journal last wrote them.
    #[error(
        "{}: {}changed by another program meanwhile, so nothing was written; {remedy}",
        first(.paths),
        others(.paths.len())
    )]
    Changed {
        /// The files, at least one.
        paths: Vec<PathBuf>,
        /// What to do.
        remedy: &'static str,
    },
    /// Another program changes the data set.
    #[error("{}: another lorabake is changing this data set; wait for it to end", folder.display())]
    Busy {
        /// The data set's folder.
        folder: PathBuf,
    },
    /// The journal cannot be read.
    #[error("{}: the journal is damaged at byte {offset}; move the file away to begin a new one (no undo before it)", path.display())]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
    },
}

impl Error {
    /// An error about a file, in the words of the system.
    pub(crate) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        Self::File { path: path.to_owned(), problem: format!("it cannot be {doing} ({error})") }
    }

    /// An error about a file.
    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), problem: problem.into() }
    }
}

fn first(paths: &[PathBuf]) -> String {
    paths.first().map(|path| path.display().to_string()).unwrap_or_default()
}

fn others(count: usize) -> String {
    if count > 1 { format!("and {} more: ", count - 1) } else { String::new() }
}
