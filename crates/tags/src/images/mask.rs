//! Masks of the loss: from transparency, white where an image is opaque, or from elsewhere; for `--conditioning_data_dir`.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use lorabake_pixels::{Gray, decode_rgba};

use crate::error::Error;

/// The transparency of an image as the bytes of a grey PNG of the same size; `None` if it is opaque everywhere.
///
/// # Errors
/// If the image cannot be read.
pub fn mask(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let pixels = decode_rgba(path).map_err(|error| Error::file(path, error.fault.to_string()))?;
    let alpha: Vec<u8> = pixels.pixels().map(|pixel| pixel[3]).collect();
    if alpha.iter().all(|value| *value == u8::MAX) {
        return Ok(None);
    }
    as_png(path, &Gray { width: pixels.width, height: pixels.height, data: alpha }).map(Some)
}

/// A mask of the image at `path` as the bytes of a grey PNG.
///
/// # Errors
/// If it cannot be written so.
pub fn as_png(path: &Path, mask: &Gray) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    let written = encoder.write_image(&mask.data, mask.width, mask.height, ExtendedColorType::L8);
    written.map_err(|error| Error::file(path, format!("its mask cannot be made ({error}); save the image as PNG")))?;
    Ok(bytes)
}
