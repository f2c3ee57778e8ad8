//! PNG files: pixels and the web UI's `parameters` text, whole or not at all; and where the next one goes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_weights::whole_file;

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
    /// NAME-1.png, NAME-2.png, ... in place of NAME.png.
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
            Some("jpg" | "jpeg" | "webp" | "bmp") => bail!("--out {}: only .png is written", out.display()),
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
            bail!("--out {} is a folder; name a file, or a folder without .png", out.display());
        }
        Ok(target)
    }

    /// The path of picture `index`, counted from 1.
    pub fn path(&self, index: usize, seed: u64) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Files(path) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                path.with_file_name(format!("{stem}-{index}.png"))
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

/// Writes a PNG; its folder is made if need be.
///
/// # Errors
/// When it cannot be written; what was at `path` before is still there.
pub fn save(path: &Path, pixels: &Pixels, parameters: &str) -> Result<()> {
    write(path, pixels, parameters).with_context(|| format!("cannot save {}", path.display()))
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
