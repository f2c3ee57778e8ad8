//! A file in memory map, with what is known of it, so that a change is noticed before it is read.
//!
//! A file that is deleted or replaced by another stays in the map as it was. One that is written to in place shows its new
//! numbers, and one that is cut ends the program where its lost end is read: both are found out by size and time.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use memmap2::Mmap;

/// A mapped file, kept open.
#[derive(Debug)]
pub(super) struct MappedFile {
    pub map: Mmap,
    file: File,
    /// When it was last written to; `None` where the file system does not say.
    modified: Option<SystemTime>,
}

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn new(file: File) -> io::Result<Self> {
        let modified = file.metadata()?.modified().ok();
        // SAFETY: the map is read-only. Another process that cuts the file while we read would end ours with SIGBUS, as
        // with every memory-mapped file; `is_unchanged` leaves that little time.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self { map, file, modified })
    }

    /// Whether the file is still what was mapped: nobody has written to it or cut it, and it has not gone with its disk.
    pub fn is_unchanged(&self) -> bool {
        let Ok(now) = self.file.metadata() else { return false };
        now.len() == self.map.len() as u64 && now.modified().ok() == self.modified
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_changes_under_the_map_is_found_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mapped = |text: &str| {
            std::fs::write(&path, text).unwrap();
            MappedFile::new(File::open(&path).unwrap()).unwrap()
        };
        let cut = mapped("whole");
        assert!(cut.is_unchanged());
        if cfg!(unix) {
            File::options().write(true).open(&path).unwrap().set_len(2).unwrap();
            assert!(!cut.is_unchanged());
        }
        drop(cut);
        let written = mapped("whole");
        let mut file = File::options().write(true).open(&path).unwrap();
        file.write_all(b"W").unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!written.is_unchanged());
        drop(written);
        // Whoever has it open keeps a file that is deleted or replaced.
        let replaced = mapped("whole");
        if cfg!(unix) {
            std::fs::write(folder.path().join("b"), "new").unwrap();
            std::fs::rename(folder.path().join("b"), &path).unwrap();
            assert!(replaced.is_unchanged());
            assert_eq!(&replaced.map[..], b"whole");
        }
    }
}
