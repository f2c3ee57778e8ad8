//! The latents of a picture's size.

use anyhow::{Result, bail};
use lorabake_model::vae::FACTOR;

/// Rows and columns of the latents of `size` = (width, height) in pixels.
///
/// # Errors
/// If a side is none or no multiple of 8.
pub fn latent_shape(size: [usize; 2]) -> Result<[usize; 2]> {
    let [width, height] = size;
    if width == 0 || height == 0 || !width.is_multiple_of(FACTOR) || !height.is_multiple_of(FACTOR) {
        bail!("--width {width} --height {height}: both must be multiples of {FACTOR} pixels, for instance 512");
    }
    Ok([height / FACTOR, width / FACTOR])
}
