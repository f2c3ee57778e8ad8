//! Where pictures go: one file, numbered files, or a folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_weights::{file_names, metadata, whole_file};

use crate::terminal;

/// Pixels of a picture.
pub struct Pixels {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Red, green and blue of every pixel, row by row.
    pub rgb: Vec<u8>,
}

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
            Self::Folder(folder) => folder.join(format!("{:05}-{seed}.png", last_number(folder) + 1)),
        }
    }
}

/// The largest number that a picture in `folder` begins with.
fn last_number(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let number = |name: std::ffi::OsString| name.to_str()?.split_once('-')?.0.parse().ok();
    entries.filter_map(|entry| number(entry.ok()?.file_name())).max().unwrap_or(0)
}

/// Writes a PNG; its folder is made if need be. A picture that is there already is kept under another name, and told.
///
/// # Errors
/// When it cannot be written; what was at `path` before is still there.
pub fn save(path: &Path, pixels: &Pixels, parameters: &str) -> Result<()> {
    let kept = keep_earlier(path, &metadata::local_date())?;
    write(path, pixels, parameters).with_context(|| format!("cannot save {}", path.display()))?;
    if let Some(kept) = kept {
        terminal::say(&format!("note: {}: the earlier picture is kept as {}", path.display(), kept.display()));
    }
    Ok(())
}

/// Longest name that every usual file system takes, in bytes.
const LONGEST: usize = 255;

/// Gives what is at `path` another name too, with this date in it; returns that.
fn keep_earlier(path: &Path, date: &str) -> Result<Option<PathBuf>> {
    if !path.is_file() {
        return Ok(None);
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut end = format!(".old-{date}.png");
    let mut number = 2;
    loop {
        let old = path.with_file_name(format!("{}{end}", file_names::cut(&stem, LONGEST - end.len())));
        if !old.exists() {
            let why = || format!("{}: the earlier picture cannot be kept as {}", path.display(), old.display());
            whole_file::keep_as(path, &old).with_context(why)?;
            return Ok(Some(old));
        }
        end = format!(".old-{date}-{number}.png");
        number += 1;
    }
}

fn write(path: &Path, pixels: &Pixels, parameters: &str) -> Result<()> {
    let (width, height) = (u32::try_from(pixels.width)?, u32::try_from(pixels.height)?);
    whole_file::write(path, |out| {
        let mut encoder = png::Encoder::new(out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        // A tEXt chunk holds Latin-1 only; Pillow, and so the web UI, takes iTXt for everything else.
        if parameters.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk("parameters".into(), parameters.into())?;
        } else {
            encoder.add_itxt_chunk("parameters".into(), parameters.into())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels.rgb)?;
        Ok(writer.finish()?)
    })?;
    Ok(())
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
