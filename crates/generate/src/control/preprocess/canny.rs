//! `canny`: edges.

use lorabake_pixels::{Gray, Rgb, opencv};

use super::resolution::AtResolution;

pub(super) fn map(image: &Rgb, resolution: u32, low: f64, high: f64) -> Result<Gray, String> {
    let image = AtResolution::of(image, resolution)?;
    Ok(opencv::canny(&image.padded, low, high).crop(image.size(), (0, 0)))
}
