//! Files on the way to their names: what they are called while they are written, and which of them a killed program left.
//!
//! A part file stands beside its target and carries its name, `.lorabake-NAME-RANDOM.part`, and whoever writes it holds a
//! lock on it. Earlier versions left the target's name and the lock out.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::file_names::cut;

const BEGIN: &str = ".lorabake-";
const END: &str = ".part";
/// Letters by which part files of one target differ.
const RANDOM: usize = 6;
/// How much of the target's name is kept, in bytes: with the rest it is short enough for every file system.
const KEPT: usize = 100;
/// A part file without a lock that nobody has written to for so long is nobody's.
const STALE: Duration = Duration::from_secs(600);

/// Makes the part file of `path`, locked where the file system can.
pub(crate) fn create(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Made here and not by tempfile, whose files have a private mode, and on Windows an attribute that keeps them in memory.
    let file = tempfile::Builder::new()
        .prefix(&format!("{BEGIN}{}-", cut(&target, KEPT)))
        .suffix(END)
        .rand_bytes(RANDOM)
        .make_in(folder, |path| File::options().read(true).write(true).create_new(true).open(path))?;
    file.as_file().try_lock().ok();
    Ok(file)
}

/// The part files in `folder` that nobody writes any longer, and whose target `is_ours`; those of earlier versions, which
/// do not say their target, as well.
pub fn abandoned(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(target) = name.to_str().and_then(target_of) else { continue };
        let ours = match target {
            Target::Unknown => true,
            Target::Named(name) => is_ours(name),
        };
        if ours && is_abandoned(&entry.path(), target) {
            found.push(entry.path());
        }
    }
    found
}

/// What a part file was to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target<'n> {
    /// An earlier version wrote it, and does not say.
    Unknown,
    /// A file of this name, of which only the beginning may be known.
    Named(&'n str),
}

/// The target of the part file `name`; `None` if it is no part file.
fn target_of(name: &str) -> Option<Target<'_>> {
    let inner = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
    match inner.rsplit_once('-') {
        Some((target, random)) if random.len() == RANDOM => Some(Target::Named(target)),
        None if inner.len() == RANDOM => Some(Target::Unknown),
        _ => None,
    }
}

/// Whether nobody has the part file open for writing.
fn is_abandoned(path: &Path, target: Target<'_>) -> bool {
    let Ok(file) = File::options().read(true).write(true).open(path) else { return false };
    match file.try_lock() {
        Ok(()) if target != Target::Unknown => true,
        Err(TryLockError::WouldBlock) => false,
        // Whoever wrote it could not lock it.
        Ok(()) | Err(TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|about| about.modified());
            modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > STALE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_files_say_what_they_are_to_become() {
        assert_eq!(target_of(".lorabake-a-b.safetensors-Ab12Xy.part"), Some(Target::Named("a-b.safetensors")));
        assert_eq!(target_of(".lorabake-Ab12Xy.part"), Some(Target::Unknown));
        for other in ["a.part", ".lorabake-.part", ".lorabake-last.lock", ".lorabake-Ab12Xy", ".lorabake-a-b.part"] {
            assert_eq!(target_of(other), None, "{other}");
        }
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("é".repeat(120));
        let part = create(&long).unwrap();
        let name = part.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(target_of(&name), Some(Target::Named("é".repeat(50).as_str())));
    }

    #[test]
    fn only_what_nobody_writes_is_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let written = create(&target).unwrap();
        assert_eq!(abandoned(folder.path(), |_| true), Vec::<PathBuf>::new());
        let (file, path) = written.keep().unwrap();
        drop(file);
        assert_eq!(abandoned(folder.path(), |name| name == "a"), std::slice::from_ref(&path));
        assert_eq!(abandoned(folder.path(), |name| name == "b"), Vec::<PathBuf>::new());
        std::fs::remove_file(&path).unwrap();
        // An earlier version's, young and old.
        let unnamed = folder.path().join(".lorabake-Ab12Xy.part");
        let file = File::create(&unnamed).unwrap();
        assert_eq!(abandoned(folder.path(), |_| false), Vec::<PathBuf>::new());
        file.set_modified(std::time::SystemTime::now() - 2 * STALE).unwrap();
        assert_eq!(abandoned(folder.path(), |_| false), [unnamed]);
    }
}
