//! Cropping: a part of an image, the middle of a resized one, and a place drawn at random.
//!
//! Source: sd-scripts `trim_and_resize_if_required`.

use rand::Rng;

use super::resize::resize;
use super::rgb::Rgb;
use crate::bucket::Placement;
use crate::size::Size;

/// Resizes and crops the middle.
pub fn fit(image: &Rgb, placement: &Placement) -> Rgb {
    crop(&resize(image, placement.resized), placement.bucket, placement.crop)
}

/// The part of `size` that begins `at` = (columns, rows) from the left upper corner.
///
/// # Panics
/// If it does not lie within the image.
pub fn crop(image: &Rgb, size: Size, at: (u32, u32)) -> Rgb {
    let stride = 3 * image.width as usize;
    let start = 3 * at.0 as usize;
    let length = 3 * size.0 as usize;
    let mut data = Vec::with_capacity(length * size.1 as usize);
    for row in at.1..at.1 + size.1 {
        data.extend_from_slice(&image.data[row as usize * stride + start..][..length]);
    }
    Rgb { width: size.0, height: size.1, data }
}

/// Column and row where a crop of the resized image begins if it is drawn: anywhere, all places equally likely
/// (`--random_crop`).
pub fn draw_crop(placement: &Placement, rng: &mut impl Rng) -> (u32, u32) {
    let column = rng.random_range(0..=placement.resized.0 - placement.bucket.0);
    let row = rng.random_range(0..=placement.resized.1 - placement.bucket.1);
    (column, row)
}
