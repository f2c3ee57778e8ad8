//! Room on a disk: how much is free, and some that is held for a file that comes later.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use fs4::fs_std::FileExt;

use crate::faults;

/// Room that is held until this is dropped; the system gives it back too if the program is killed.
#[derive(Debug)]
pub struct HeldRoom {
    /// A file without a name.
    _file: File,
}

/// Bytes that may still be written into `folder`, or where it will be made; `None` where the system does not say.
pub fn free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|path| path.is_dir());
    let existing = existing.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs4::available_space(existing).ok()
}

/// Holds room for so many bytes in `folder`.
///
/// # Errors
/// When there is not so much, or nothing can be written there.
pub fn hold(folder: &Path, bytes: u64) -> io::Result<HeldRoom> {
    faults::check()?;
    let mut file = tempfile::tempfile_in(folder)?;
    match file.allocate(bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
        }
        Err(error) => return Err(error),
    }
    Ok(HeldRoom { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_a_little_and_not_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let free = free(&folder.path().join("not/yet")).unwrap();
        assert!(free > 0);
        let held = hold(folder.path(), 100_000).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(held);
        assert!(hold(folder.path(), 1 << 60).is_err());
        assert!(hold(&folder.path().join("nowhere"), 1).is_err());
    }
}
