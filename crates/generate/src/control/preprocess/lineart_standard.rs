//! `lineart_standard`: lines of a drawing, by how much darker they are than their surroundings.

use lorabake_pixels::opencv::{Kernel, gaussian_blur_f32};
use lorabake_pixels::{Gray, Rgb};

use super::resolution::AtResolution;

/// Standard deviation of the surroundings, in pixels.
const SURROUNDINGS: f64 = 6.0;
/// What is darker by this or less does not count as a line when strengths are evened out.
const FAINT: f32 = 8.0;
/// The least strength that lines are evened out by.
const LEAST: f32 = 16.0;

pub(super) fn map(image: &Rgb, resolution: u32) -> Result<Gray, String> {
    let image = AtResolution::of(image, resolution)?;
    let values = image.padded.map(|color| color.map(f32::from));
    let around = gaussian_blur_f32(&values, Kernel::of_f32(SURROUNDINGS));
    let mut strengths = Vec::with_capacity(values.data.len() / 3);
    for (color, blurred) in values.pixels().zip(around.pixels()) {
        let darker = blurred.iter().zip(color).map(|(around, own)| around - own);
        strengths.push(darker.fold(f32::INFINITY, f32::min).clamp(0.0, 255.0));
    }
    let scale = median_of_lines(&strengths).max(LEAST);
    let data = strengths.iter().map(|strength| (strength / scale * 127.0).clamp(0.0, 255.0) as u8).collect();
    let map = Gray { width: values.width, height: values.height, data };
    Ok(map.crop(image.size(), (0, 0)))
}

/// The median of the strengths that count; 0 if there are none.
fn median_of_lines(strengths: &[f32]) -> f32 {
    let mut lines: Vec<f32> = strengths.iter().copied().filter(|strength| *strength > FAINT).collect();
    lines.sort_unstable_by(f32::total_cmp);
    let middle = lines.len() / 2;
    match lines.len() {
        0 => 0.0,
        length if length % 2 == 1 => lines[middle],
        _ => f32::midpoint(lines[middle - 1], lines[middle]),
    }
}
