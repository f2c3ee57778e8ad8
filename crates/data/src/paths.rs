//! Names of files and folders as text.

use std::path::Path;

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The last part of a path without its extension.
pub(crate) fn stem(path: &Path) -> String {
    name(&path.with_extension(""))
}
