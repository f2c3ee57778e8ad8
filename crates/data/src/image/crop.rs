//! Cropping: the middle of a resized image, and a place drawn at random.
//!
//! Source: sd-scripts `trim_and_resize_if_required`.

use lorabake_pixels::Rgb;
use rand::Rng;

use super::resize::resize;
use crate::bucket::Placement;

/// Resizes and crops the middle.
pub fn fit(image: &Rgb, placement: &Placement) -> Rgb {
    resize(image, placement.resized).crop(placement.bucket, placement.crop)
}

/// Column and row where a crop of the resized image begins if it is drawn: anywhere, all places equally likely
/// (`--random_crop`).
pub fn draw_crop(placement: &Placement, rng: &mut impl Rng) -> (u32, u32) {
    let column = rng.random_range(0..=placement.resized.0 - placement.bucket.0);
    let row = rng.random_range(0..=placement.resized.1 - placement.bucket.1);
    (column, row)
}
