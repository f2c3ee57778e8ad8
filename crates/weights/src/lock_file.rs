//! Files that one program at a time holds a lock on, so that two that write into one place notice each other.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A lock that this program has. The system gives it up with the program, however that ends, so that a file that a killed
/// program left locks nobody out. The file goes when this is dropped.
#[derive(Debug)]
pub struct LockFile {
    _file: File,
    path: PathBuf,
}

/// How the taking of a lock ended.
#[derive(Debug)]
pub enum Taking {
    /// This program has it.
    Taken(LockFile),
    /// Another program has it.
    Busy,
    /// The file system knows no locks.
    Unknown,
}

impl LockFile {
    /// Takes the lock of the file `path`, whose folder is there; waits for nobody.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn take(path: &Path) -> io::Result<Taking> {
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(path)?;
            match file.try_lock() {
                // Else whoever had it has deleted it just now.
                Ok(()) if path.exists() => return Ok(Taking::Taken(Self { _file: file, path: path.to_owned() })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Taking::Busy),
                Err(TryLockError::Error(_)) => {
                    std::fs::remove_file(path).ok();
                    return Ok(Taking::Unknown);
                }
            }
        }
    }

    /// Whether another program has the lock of the file `path`; takes nothing.
    pub fn is_busy(path: &Path) -> bool {
        let Ok(file) = File::options().write(true).open(path) else { return false };
        matches!(file.try_lock(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_a_file_that_was_left_locks_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        std::fs::write(&path, "left by a program that was killed").unwrap();
        assert!(!LockFile::is_busy(&path));
        let Taking::Taken(lock) = LockFile::take(&path).unwrap() else { panic!("nobody has it") };
        assert!(LockFile::is_busy(&path));
        assert!(matches!(LockFile::take(&path).unwrap(), Taking::Busy));
        drop(lock);
        assert!(!path.exists());
        assert!(matches!(LockFile::take(&path).unwrap(), Taking::Taken(_)));
        assert!(LockFile::take(&folder.path().join("nowhere/.lock")).is_err());
    }
}
