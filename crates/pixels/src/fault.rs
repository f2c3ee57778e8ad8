//! What is wrong with an image file, in the user's words. Nothing here prints.

use std::io;
use std::path::{Path, PathBuf};

/// An image file that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl FileError {
    pub(crate) fn new(path: &Path, fault: Fault) -> Self {
        Self { path: path.to_owned(), fault }
    }
}

/// What is wrong with an image file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// 0 bytes.
    #[error("the image file is empty (0 bytes); copy it again or delete it")]
    Empty,
    /// The file ends before the image does.
    #[error("the image file is truncated; copy it again or delete it")]
    Truncated,
    /// The content is not one of the supported formats, whatever the file is called.
    #[error("the content is not PNG, JPEG, WebP or BMP but {0}; save it as PNG")]
    Format(String),
    /// More pixels than are accepted; decoding would take too much memory.
    #[error("{0} × {1} pixels are too many; shrink the image below 178 million pixels")]
    TooLarge(u32, u32),
    /// A side is longer than anything has a use for.
    #[error("{0} × {1} pixels: no side may be longer than 1048576; crop it or delete it")]
    TooLong(u32, u32),
    /// The system or the decoder refuses.
    #[error("the image cannot be read ({0}); save it again as PNG or delete it")]
    Unreadable(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Unreadable(error.to_string()),
        }
    }
}
