//! Files that are whole or absent: written beside their place, flushed to disk, renamed. Knows no format.
//!
//! On Windows a rename fails while a virus scanner or another program has one of the two files open, most often for a
//! moment only, so it is tried again for a second. `std::fs::rename` is used there too: it replaces a file that is open for
//! reading, and takes paths of any length.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

mod flusher;

use flusher::Flusher;

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

/// As [`write()`], for a file whose first bytes are known when the rest is written: `fill` may go back to them.
///
/// # Errors
/// As [`write()`].
pub fn write_seeking(path: &Path, fill: impl FnOnce(&mut dyn WriteSeek) -> io::Result<()>) -> io::Result<()> {
    write_filled(
        path,
        |out| fill(out),
        |beside| patiently(|| std::fs::rename(beside, path), |error| !path.is_dir() && is_held(error)),
    )?;
    sync_folder(folder_of(path));
    Ok(())
}

/// What can be written to, at any place.
pub trait WriteSeek: Write + Seek {}

impl<W: Write + Seek> WriteSeek for W {}

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
    write_filled(path, |out| fill(out), place)
}

fn write_filled(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<Checked<'_>>) -> io::Result<()>,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let folder = folder_of(path);
    faults::check()?;
    std::fs::create_dir_all(folder)?;
    faults::check()?;
    let beside = part_file::create(path)?;
    let checked = Checked { file: beside.as_file(), flusher: Flusher::default() };
    let mut out = BufWriter::with_capacity(1 << 20, checked);
    fill(&mut out)?;
    out.flush()?;
    let Checked { flusher, .. } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    faults::check()?;
    flusher.finish()?;
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

/// A file whose writes can be made to fail, and which goes to the disk while it is written.
struct Checked<'f> {
    file: &'f File,
    flusher: Flusher,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        faults::check()?;
        let written = self.file.write(bytes)?;
        self.flusher.wrote(self.file, written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Checked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
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
mod tests;
