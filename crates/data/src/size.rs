//! Sizes of images and of buckets, in pixels. A pair, as resolutions are in a recipe.

/// Width and height in pixels.
pub type Size = (u32, u32);

/// Number of pixels of a size.
pub(crate) fn area(size: Size) -> u64 {
    u64::from(size.0) * u64::from(size.1)
}

/// Width divided by height.
pub(crate) fn aspect_ratio(size: Size) -> f64 {
    f64::from(size.0) / f64::from(size.1)
}
