//! Where pictures go: one file, numbered files, or a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::file_names::next_number;

/// Where pictures go.
pub enum Target {
    /// One file.
    File(PathBuf),
    /// NAME-1.png, NAME-2.png, ... in place of NAME.png, or with the suffix of another format.
    Files(PathBuf),
    /// 00001-SEED.png, ... in this folder, behind those that are there.
    Folder(PathBuf),
}

impl Target {
    /// What `--out` means for `count` pictures; nothing is made yet.
    ///
    /// # Errors
    /// When it has the suffix of another format, or when nothing can be written there.
    pub fn new(out: &Path, count: usize) -> Result<Self> {
        let suffix = out.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
        let target = match suffix.as_deref() {
            Some("png") if count == 1 => Self::File(out.to_owned()),
            Some("png") => Self::Files(out.to_owned()),
            Some("jpg" | "jpeg" | "webp") if count == 1 => Self::File(out.to_owned()),
            Some("jpg" | "jpeg" | "webp") => Self::Files(out.to_owned()),
            Some("bmp" | "gif" | "tif" | "tiff" | "avif") => {
                bail!("--out {}: only .png, .jpg and .webp are written; name one of them", out.display())
            }
            _ => Self::Folder(out.to_owned()),
        };
        let folder = if matches!(target, Self::Folder(_)) { out } else { out.parent().unwrap_or(Path::new("")) };
        let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        if !existing.is_dir() {
            bail!("--out {}: {} is a file; name another folder", out.display(), existing.display());
        }
        // Better now than after minutes of painting; this file has no name and is gone at once.
        let probe = tempfile::tempfile_in(existing);
        probe.with_context(|| format!("--out {}: cannot write there; name another folder", out.display()))?;
        if !matches!(target, Self::Folder(_)) && out.is_dir() {
            bail!("--out {} is a folder; name a file, or a folder without such a suffix", out.display());
        }
        Ok(target)
    }

    /// The path of picture `index`, counted from 1.
    pub fn path(&self, index: usize, seed: u64) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Files(path) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let suffix = path.extension().unwrap_or_default().to_string_lossy();
                path.with_file_name(format!("{stem}-{index}.{suffix}"))
            }
            // The first is number 1; the web UI begins with 0.
            Self::Folder(folder) => folder.join(format!("{:05}-{seed}.png", next_number(folder, "").max(1))),
        }
    }
}
