//! Files that are whole or absent: written beside their place, flushed to disk, renamed. Knows no format.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the file `path` by `fill`; its folder is made if need be.
///
/// # Errors
/// When it cannot be written; no partial file is left, and what was at `path` before is still there.
pub fn write(path: &Path, fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lorabake-").suffix(".part");
    // Not the private mode of temporary files: the mode that any new file gets.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let beside = builder.tempfile_in(folder)?;
    let mut out = BufWriter::with_capacity(1 << 20, beside.as_file());
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    // The rename is on disk once its folder is; some systems cannot flush a folder, and the file is whole anyway.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}
