//! `scribble_xdog`: strokes where a little blurred image is darker than a much blurred one.

use lorabake_pixels::Rgb;
use lorabake_pixels::opencv::{Kernel, gaussian_blur_f32};

use super::resolution::AtResolution;

/// Standard deviations of the two blurs, in pixels.
const LITTLE: f64 = 0.5;
const MUCH: f64 = 5.0;

pub(super) fn map(image: &Rgb, resolution: u32, threshold: f64) -> Result<Rgb, String> {
    let image = AtResolution::of(image, resolution)?;
    let values = image.padded.map(|color| color.map(f32::from));
    let little = gaussian_blur_f32(&values, Kernel::of_f32(LITTLE));
    let much = gaussian_blur_f32(&values, Kernel::of_f32(MUCH));
    let mut data = Vec::with_capacity(values.data.len());
    for (sharp, soft) in little.pixels().zip(much.pixels()) {
        let least = soft.iter().zip(sharp).map(|(soft, sharp)| soft - sharp).fold(f32::INFINITY, f32::min);
        let light = (255.0 - least).clamp(0.0, 255.0) as u8;
        // Doubled within 8 bits, as numpy does.
        let strength = (255 - light).wrapping_mul(2);
        data.extend([if f64::from(strength) > threshold { 255 } else { 0 }; 3]);
    }
    let map = Rgb { width: values.width, height: values.height, data };
    Ok(map.crop(image.size(), (0, 0)))
}
