//! Where a report may be written: not over what somebody else has made.

use std::io::Read;
use std::path::Path;

use anyhow::{Result, bail};

/// Suffixes of pages.
pub const PAGE: [&str; 2] = ["html", "htm"];
/// Bytes at the beginning of a report that tell it.
const OURS_WITHIN: u64 = 1000;

/// Refuses a place that is no report's: of another suffix, without a folder, or with a file at whose beginning none of `ours`
/// stands.
///
/// # Errors
/// One line that names `option`.
pub fn check(option: &str, path: &Path, suffixes: &[&str], ours: &[&str]) -> Result<()> {
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !suffixes.contains(&suffix.as_str()) {
        bail!("{option} {}: name a .{} file", path.display(), suffixes[0]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{option} {}: there is no folder {}; make it or correct the name", path.display(), folder.display());
    }
    let Ok(file) = std::fs::File::open(path) else { return Ok(()) };
    let mut start = Vec::new();
    file.take(OURS_WITHIN).read_to_end(&mut start)?;
    let text = String::from_utf8_lossy(&start);
    if !ours.iter().any(|mark| text.contains(mark)) {
        bail!("{option} {}: it is there already and no report; name another file", path.display());
    }
    Ok(())
}
