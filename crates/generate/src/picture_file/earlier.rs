//! Pictures of an earlier run, which are kept under another name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_weights::{file_names, whole_file};

/// Longest name that every usual file system takes, in bytes.
const LONGEST: usize = 255;

/// Gives what is at `path` another name too, with this date in it; returns that.
pub(super) fn keep_earlier(path: &Path, date: &str) -> Result<Option<PathBuf>> {
    if !path.is_file() {
        return Ok(None);
    }
    let old = free_name(path, date);
    let why = || format!("{}: the earlier picture cannot be kept as {}", path.display(), old.display());
    whole_file::keep_as(path, &old).with_context(why)?;
    Ok(Some(old))
}

/// A name with this date in it that no file beside `path` has.
pub(super) fn free_name(path: &Path, date: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = path.extension().unwrap_or_default().to_string_lossy();
    let mut end = format!(".old-{date}.{suffix}");
    let mut number = 2;
    loop {
        let old = path.with_file_name(format!("{}{end}", file_names::cut(&stem, LONGEST - end.len())));
        if !old.exists() {
            return old;
        }
        end = format!(".old-{date}-{number}.{suffix}");
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_picture_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.png");
        let date = "20261130-073500";
        assert_eq!(keep_earlier(&path, date).unwrap(), None);
        for (content, kept) in [("first", "one.old-20261130-073500.png"), ("second", "one.old-20261130-073500-2.png")] {
            std::fs::write(&path, content).unwrap();
            let kept = folder.path().join(kept);
            assert_eq!(keep_earlier(&path, date).unwrap(), Some(kept.clone()));
            // As a picture is written: beside its place, then renamed.
            whole_file::write(&path, |out| std::io::Write::write_all(out, b"new")).unwrap();
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), content);
        }
        let long = folder.path().join(format!("{}.png", "é".repeat(120)));
        std::fs::write(&long, "").unwrap();
        assert_eq!(keep_earlier(&long, date).unwrap().unwrap().file_name().unwrap().len(), 254);
    }
}
