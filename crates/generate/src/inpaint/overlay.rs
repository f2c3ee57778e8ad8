//! What is kept of the original, laid over the result.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/processing.py`).

use lorabake_pixels::pillow::{
    alpha_composite, inverted, opaque, paste, paste_masked, premultiplied, straight, without_alpha,
};
use lorabake_pixels::{Gray, Rgb, Rgba};

use super::crop_region::Region;
use crate::resize_mode::ResizeMode;

/// What is kept of the original: opaque where the mask is 0, transparent where it is 255.
///
/// # Panics
/// If picture and mask differ in size.
pub fn overlay_image(image: &Rgb, mask: &Gray) -> Rgba {
    masked(&opaque(image), mask)
}

/// A picture made transparent where the mask is.
///
/// # Panics
/// If picture and mask differ in size.
pub(super) fn masked(image: &Rgba, mask: &Gray) -> Rgba {
    let mut kept = Rgba::filled(image.size(), [0; 4]);
    paste_masked(&mut kept, &premultiplied(image), &inverted(mask));
    straight(&kept)
}

/// The result under what is kept of the original. A result that shows only a part of the picture is first resized to that
/// part, `paste_to`, and put in its place.
///
/// # Panics
/// If the result of a whole picture has another size than `overlay`.
pub fn laid_over(result: &Rgb, overlay: &Rgba, paste_to: Option<Region>) -> Rgb {
    let base = match paste_to {
        Some(region) => in_place(result, overlay, region),
        None => opaque(result),
    };
    without_alpha(&alpha_composite(&base, overlay))
}

fn in_place(result: &Rgb, overlay: &Rgba, region: Region) -> Rgba {
    let mut base = Rgba::filled(overlay.size(), [0; 4]);
    let part = ResizeMode::CropAndResize.apply(result, region.size());
    paste(&mut base, &opaque(&part), (region.left.into(), region.top.into()));
    base
}
