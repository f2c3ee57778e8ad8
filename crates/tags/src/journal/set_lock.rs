//! The lock of a data set itself, wherever its journal lies: two programs with other journals, or one on a folder and one on a
//! folder within it, notice each other.
//!
//! Locks lie in the system's folder for short-lived files, since a data set holds nothing of ours. Where that cannot be
//! written, there is only the lock beside the journal.

use std::path::{Path, PathBuf};

use lorabake_weights::lock_file::{LockFile, Taking};
use sha2::{Digest, Sha256};

use crate::error::Error;

const FOLDER: &str = "lorabake-locks";
/// More data sets than this are not looked through.
const MOST: usize = 10_000;

/// Takes the lock of the data set `root`; `None` where there can be none.
///
/// # Errors
/// If another program changes it, a folder in it or one around it.
pub(super) fn take(root: &Path) -> Result<Option<LockFile>, Error> {
    let place = std::env::temp_dir().join(FOLDER);
    if std::fs::create_dir_all(&place).is_err() {
        return Ok(None);
    }
    let name = format!("{:x}", Sha256::digest(root.as_os_str().as_encoded_bytes()));
    let busy = |folder: &Path| Error::Busy { folder: folder.to_owned() };
    let lock = match LockFile::take(&place.join(&name)) {
        Ok(Taking::Taken(lock)) => lock,
        Ok(Taking::Busy) => return Err(busy(root)),
        Ok(Taking::Unknown) | Err(_) => return Ok(None),
    };
    let note = place.join(format!("{name}.set"));
    let path = root.to_string_lossy().into_owned();
    if std::fs::read_to_string(&note).ok().as_ref() != Some(&path) && std::fs::write(&note, &path).is_err() {
        return Ok(Some(lock));
    }
    match related(&place, root) {
        Some(other) => Err(busy(&other)),
        None => Ok(Some(lock)),
    }
}

/// A data set within `root` or around it that another program changes now.
fn related(place: &Path, root: &Path) -> Option<PathBuf> {
    for entry in place.read_dir().ok()?.take(MOST) {
        let Ok(entry) = entry else { continue };
        let note = entry.path();
        if note.extension().is_none_or(|suffix| suffix != "set") {
            continue;
        }
        let Ok(path) = std::fs::read_to_string(&note) else { continue };
        let other = PathBuf::from(path);
        let is_related = other != root && (other.starts_with(root) || root.starts_with(&other));
        if is_related && LockFile::is_busy(&note.with_extension("")) {
            return Some(other);
        }
    }
    None
}
