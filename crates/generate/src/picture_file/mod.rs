//! Files of pictures: pixels with the web UI's text, whole or not at all; where the next one goes; the text read back.
//!
//! As the web UI has it: in PNG a chunk `parameters`, in JPEG and WebP the field UserComment of EXIF. Not here: what the
//! text says (`png_text`).

mod earlier;
mod exif;
mod read;
mod target;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use lorabake_weights::{metadata, whole_file};

pub use read::{read_png_text, read_text};
pub use target::Target;

/// Quality of JPEG files, of 100.
const JPEG_QUALITY: u8 = 92;

/// Bytes of EXIF that a JPEG can hold behind its name.
const LARGEST_SEGMENT: usize = 0xffff - 2 - 6;

/// Pixels of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Red, green and blue of every pixel, row by row.
    pub rgb: Vec<u8>,
}

/// Writes a picture as [`write_over`] does. One that is there already is kept under another name, which is returned, also
/// if another program has just written it.
///
/// # Errors
/// As [`write_over`].
pub fn save(path: &Path, pixels: &Pixels, parameters: &str) -> Result<Option<PathBuf>> {
    let date = metadata::local_date();
    let written =
        whole_file::write_keeping(path, |out| write(path, out, pixels, parameters), || earlier::free_name(path, &date));
    written.with_context(|| format!("cannot save {}", path.display()))
}

/// Gives a file that is at `path` another name too, with the date in it, so that `path` may be written anew; returns that.
///
/// # Errors
/// When it cannot be kept.
pub fn keep_earlier(path: &Path) -> Result<Option<PathBuf>> {
    earlier::keep_earlier(path, &metadata::local_date())
}

/// Writes a JPEG or lossless WebP if `path` has such a suffix, else a PNG; its folder is made if need be.
///
/// # Errors
/// When it cannot be written; what was at `path` before is still there.
pub fn write_over(path: &Path, pixels: &Pixels, parameters: &str) -> Result<()> {
    let written = whole_file::write(path, |out| write(path, out, pixels, parameters));
    written.with_context(|| format!("cannot save {}", path.display()))
}

/// Writes a picture in the format that the suffix of `path` names.
fn write(path: &Path, out: &mut dyn Write, pixels: &Pixels, parameters: &str) -> io::Result<()> {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    match suffix.as_deref() {
        Some("jpg" | "jpeg") => {
            let exif = exif::of_text(parameters);
            if exif.len() > LARGEST_SEGMENT {
                return Err(io::Error::other("the prompt is too long for a JPEG; name a .png"));
            }
            encode(JpegEncoder::new_with_quality(out, JPEG_QUALITY), pixels, exif)
        }
        Some("webp") => encode(WebPEncoder::new_lossless(out), pixels, exif::of_text(parameters)),
        _ => write_png(out, pixels, parameters),
    }
}

fn write_png(out: &mut dyn Write, pixels: &Pixels, parameters: &str) -> io::Result<()> {
    let side = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(out, side(pixels.width)?, side(pixels.height)?);
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
}

fn encode(mut encoder: impl ImageEncoder, pixels: &Pixels, exif: Vec<u8>) -> io::Result<()> {
    let side = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    encoder.set_exif_metadata(exif).map_err(io::Error::other)?;
    let color = ExtendedColorType::Rgb8;
    encoder.write_image(&pixels.rgb, side(pixels.width)?, side(pixels.height)?, color).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels() -> Pixels {
        Pixels { width: 16, height: 8, rgb: (0..16 * 8 * 3).map(|value| value as u8).collect() }
    }

    #[test]
    fn the_text_comes_back_from_every_format() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["a cat\nSteps: 20, Sampler: Euler a", "größer", "猫 🐱\nSteps: 1"] {
            for name in ["a.png", "a.jpg", "a.JPEG", "a.webp", "a"] {
                let path = folder.path().join(name);
                save(&path, &pixels(), text).unwrap();
                assert_eq!(read_text(&path).unwrap(), text, "{name}");
                let reader = image::ImageReader::open(&path).unwrap().with_guessed_format().unwrap();
                let decoded = reader.decode().unwrap().into_rgb8();
                assert_eq!(decoded.dimensions(), (16, 8));
                if name != "a.jpg" && name != "a.JPEG" {
                    assert_eq!(decoded.into_raw(), pixels().rgb, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_a_jpeg_cannot_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = "a".repeat(40_000);
        let error = save(&folder.path().join("a.jpg"), &pixels(), &text).unwrap_err();
        assert!(format!("{error:#}").ends_with("too long for a JPEG; name a .png"), "{error:#}");
        save(&folder.path().join("a.webp"), &pixels(), &text).unwrap();
        assert_eq!(read_text(&folder.path().join("a.webp")).unwrap(), text);
    }
}
