//! Files that are whole or absent: written beside their place, flushed to disk, renamed. Knows no format.
//!
//! On Windows a rename fails while a virus scanner or another program has one of the two files open, most often for a
//! moment only, so it is tried again for a second. `std::fs::rename` is used there too: it replaces a file that is open for
//! reading, and takes paths of any length.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How often a rename is tried while another program is in its way.
const ATTEMPTS: u32 = 10;
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Writes the file `path` by `fill`; its folder is made if need be.
///
/// # Errors
/// When it cannot be written; no partial file is left, and what was at `path` before is still there.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    // Made here and not by tempfile, whose files have a private mode, and on Windows an attribute that keeps them in memory.
    let beside = tempfile::Builder::new()
        .prefix(".lorabake-")
        .suffix(".part")
        .make_in(folder, |path| File::options().read(true).write(true).create_new(true).open(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, beside.as_file());
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    beside.as_file().sync_all()?;
    // Closed before it is renamed; from here on its path alone is deleted if something fails.
    let mut beside = beside.into_temp_path();
    patiently(|| std::fs::rename(&beside, path), |error| !path.is_dir() && is_held(error))?;
    beside.disable_cleanup(true);
    // The rename is on disk once its folder is; some systems cannot flush a folder, and the file is whole anyway.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
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
