//! Files that are whole or absent: written beside their place, flushed to disk, renamed. Knows no format.
//!
//! On Windows a rename fails while a virus scanner or another program has one of the two files open, most often for a
//! moment only, so it is tried again for a second. `std::fs::rename` is used there too: it replaces a file that is open for
//! reading, and takes paths of any length.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::{faults, part_file};

/// How often a rename is tried while another program is in its way.
const ATTEMPTS: u32 = 10;
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Writes the file `path` by `fill`; its folder is made if need be.
///
/// # Errors
/// When it cannot be written; no partial file is left, and what was at `path` before is still there.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_with(path, fill, |beside| {
        patiently(|| std::fs::rename(beside, path), |error| !path.is_dir() && is_held(error))
    })
}

/// As [`write()`], but the new name may be lost in a power cut until [`sync_folder`] is called for its folder: one call does
/// for many files. A file that is there keeps its permissions, and is asked by `may_go` at the last moment.
///
/// # Errors
/// As [`write()`], and those of `may_go`.
pub fn write_one_of_many(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    may_go: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    write_unsynced(path, fill, |beside| {
        if let Ok(about) = path.metadata() {
            std::fs::set_permissions(beside, about.permissions())?;
        }
        may_go()?;
        patiently(|| std::fs::rename(beside, path), |error| !path.is_dir() && is_held(error))
    })
}

/// Brings the names of a folder's files to the disk. Some systems cannot, and the files are whole anyway.
pub fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
}

/// As [`write()`], but never over a file that is there, also if another program makes it in this very moment: that one is
/// moved to the free name that `elsewhere` finds for it, which is returned.
///
/// # Errors
/// As [`write()`], and when the other file cannot be moved.
pub fn write_keeping(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    elsewhere: impl Fn() -> PathBuf,
) -> io::Result<Option<PathBuf>> {
    let mut kept = None;
    write_with(path, fill, |beside| {
        // Each round moves a file that somebody has put there since.
        loop {
            match link_new(beside, path) {
                // A folder is nobody's earlier file.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !path.is_dir() => {
                    let old = elsewhere();
                    // An empty file holds the name, so that no two files are moved to it.
                    match File::create_new(&old) {
                        Ok(_) => {}
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                        Err(error) => return Err(error),
                    }
                    match patiently(|| std::fs::rename(path, &old), is_held) {
                        Ok(()) => kept = Some(old),
                        Err(error) => {
                            std::fs::remove_file(&old).ok();
                            // Somebody else has moved it.
                            if error.kind() != io::ErrorKind::NotFound {
                                return Err(error);
                            }
                        }
                    }
                }
                done => return done,
            }
        }
    })?;
    Ok(kept)
}

/// Gives `beside` the name `path`, unless there is a file of that name.
fn link_new(beside: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(beside, path) {
        Ok(()) => return std::fs::remove_file(beside).or(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // FAT and some shares have one name for a file only.
        Err(_) => {}
    }
    if path.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    patiently(|| std::fs::rename(beside, path), |error| !path.is_dir() && is_held(error))
}

/// Writes a file beside `path`, which `place` then puts there; its name is on disk too.
fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    write_unsynced(path, fill, place)?;
    sync_folder(folder_of(path));
    Ok(())
}

/// Writes a file beside `path`, which `place` then puts there.
fn write_unsynced(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    faults::check()?;
    std::fs::create_dir_all(folder)?;
    faults::check()?;
    let beside = part_file::create(path)?;
    let mut out = BufWriter::with_capacity(1 << 20, Checked(beside.as_file()));
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    faults::check()?;
    beside.as_file().sync_all()?;
    // Closed before it is renamed; from here on its path alone is deleted if something fails.
    let mut beside = beside.into_temp_path();
    faults::check()?;
    place(&beside)?;
    beside.disable_cleanup(true);
    Ok(())
}

/// Gives the file `path` the name `other` too, so that it stays when `path` is written anew.
///
/// # Errors
/// When there is something at `other`, or the folder cannot be written.
pub fn keep_as(path: &Path, other: &Path) -> io::Result<()> {
    faults::check()?;
    if std::fs::hard_link(path, other).is_ok() {
        return Ok(());
    }
    // FAT and some shares have one name for a file only.
    if other.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    let mut file = File::open(path)?;
    write(other, |out| io::copy(&mut file, out).map(drop))
}

/// Gives a file or a folder another name, where nothing may be; the folder around that name is made if need be.
///
/// # Errors
/// When there is something at `to`, or it cannot be moved.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    faults::check()?;
    if to.symlink_metadata().is_ok() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists));
    }
    std::fs::create_dir_all(folder_of(to))?;
    faults::check()?;
    patiently(|| std::fs::rename(from, to), is_held)?;
    sync_folder(folder_of(from));
    sync_folder(folder_of(to));
    Ok(())
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file whose writes can be made to fail.
struct Checked<'f>(&'f File);

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        faults::check()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Calls `rename`, and calls it again while it fails because a file is `held` by another program.
fn patiently(mut rename: impl FnMut() -> io::Result<()>, held: impl Fn(&io::Error) -> bool) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        match rename() {
            Err(error) if held(&error) => thread::sleep(PAUSE),
            result => return result,
        }
    }
    match rename() {
        Err(error) if held(&error) => {
            Err(io::Error::new(error.kind(), format!("{error}; another program has it open, close that and try again")))
        }
        result => result,
    }
}

/// Whether Windows says that another program has a file open.
fn is_held(error: &io::Error) -> bool {
    const ACCESS_DENIED: i32 = 5;
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    const USER_MAPPED_FILE: i32 = 1224;
    let codes = [ACCESS_DENIED, SHARING_VIOLATION, LOCK_VIOLATION, USER_MAPPED_FILE];
    cfg!(windows) && error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn busy() -> io::Error {
        io::Error::new(io::ErrorKind::PermissionDenied, "busy")
    }

    #[test]
    fn a_file_that_is_there_is_moved_and_a_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [path, old] = ["one.png", "one.old.png"].map(|name| folder.path().join(name));
        let write = |text: &'static str| write_keeping(&path, |out| out.write_all(text.as_bytes()), || old.clone());
        assert_eq!(write("first").unwrap(), None);
        assert_eq!(write("second").unwrap(), Some(old.clone()));
        assert_eq!([&path, &old].map(|path| std::fs::read_to_string(path).unwrap()), ["second", "first"]);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(write("third").is_err());
        assert!(path.is_dir() && std::fs::read_to_string(&old).unwrap() == "first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a part file is left");
    }

    /// Of several writers of one name each finds its file, under that name or another.
    #[test]
    fn files_that_are_written_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.png");
        let number = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let (path, number) = (&path, &number);
                scope.spawn(move || {
                    let elsewhere = || {
                        // Two ask for each name.
                        let next = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) / 2;
                        path.with_extension(format!("old-{next}"))
                    };
                    write_keeping(path, |out| write!(out, "{writer}"), elsewhere).unwrap();
                });
            }
        });
        let mut found: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        found.sort();
        assert_eq!(found, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }

    #[test]
    fn a_rename_waits_for_who_holds_the_file() {
        let mut left = 2;
        let rename = || {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            Err(busy())
        };
        patiently(rename, |_| true).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn who_never_lets_go_is_named_as_the_cause() {
        let mut calls = 0;
        let error = patiently(
            || {
                calls += 1;
                Err(busy())
            },
            |_| true,
        )
        .unwrap_err();
        assert_eq!((calls, error.kind()), (ATTEMPTS, io::ErrorKind::PermissionDenied));
        assert_eq!(error.to_string(), "busy; another program has it open, close that and try again");
    }

    #[test]
    fn other_failures_are_final() {
        let mut calls = 0;
        let rename = || {
            calls += 1;
            Err(busy())
        };
        assert_eq!(patiently(rename, |_| false).unwrap_err().to_string(), "busy");
        assert_eq!(calls, 1);
    }

    /// Whoever has opened the old file reads it to its end.
    #[test]
    fn a_file_that_is_being_read_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let mut reader = File::open(&path).unwrap();
        write(&path, |out| out.write_all(b"new")).unwrap();
        let mut old = String::new();
        reader.read_to_string(&mut old).unwrap();
        assert_eq!((old.as_str(), std::fs::read(&path).unwrap().as_slice()), ("old", b"new".as_slice()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_renamed_takes_no_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["one/a", "two/a"].map(|name| folder.path().join(name));
        write(&from, |out| out.write_all(b"first")).unwrap();
        rename(&from, &to).unwrap();
        assert!(!from.exists() && std::fs::read(&to).unwrap() == b"first");
        write(&from, |out| out.write_all(b"second")).unwrap();
        assert_eq!(rename(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(std::fs::read(&to).unwrap() == b"first" && std::fs::read(&from).unwrap() == b"second");
        rename(&folder.path().join("one"), &folder.path().join("three")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("three/a")).unwrap(), b"second");
    }

    #[test]
    fn a_file_that_is_kept_stays_when_its_name_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let old = folder.path().join("a.old");
        write(&path, |out| out.write_all(b"old")).unwrap();
        keep_as(&path, &old).unwrap();
        write(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!((std::fs::read(&old).unwrap(), std::fs::read(&path).unwrap()), (b"old".to_vec(), b"new".to_vec()));
        assert_eq!(keep_as(&path, &old).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    /// Each operation fails once: the old file or the new one is there, whole, and nothing beside it.
    #[test]
    fn whatever_fails_the_old_file_or_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let attempt = || write(&path, |out| out.write_all(&[7; 3 << 20]));
        let operations = faults::during(0..0, || attempt().unwrap());
        assert!(operations >= 5, "{operations}");
        for failing in 0..operations {
            std::fs::write(&path, b"old").unwrap();
            faults::during(failing..failing + 1, || assert!(attempt().is_err()));
            assert_eq!(std::fs::read(&path).unwrap(), b"old", "operation {failing}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    /// Windows takes 260 characters unless the program asks for more; one name may have 255 everywhere.
    #[test]
    fn paths_may_be_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x".repeat(120)).join("y".repeat(120)).join("z".repeat(120));
        write(&path, |out| out.write_all(b"long")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"long");
    }

    #[test]
    fn a_file_that_cannot_be_filled_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write(&path, |out| {
            out.write_all(b"half")?;
            Err(busy())
        });
        assert_eq!(failed.unwrap_err().to_string(), "busy");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
