//! Sizes of images and of buckets, in pixels.

pub use lorabake_pixels::size::Size;
pub(crate) use lorabake_pixels::size::area;

/// Width divided by height.
pub(crate) fn aspect_ratio(size: Size) -> f64 {
    f64::from(size.0) / f64::from(size.1)
}
