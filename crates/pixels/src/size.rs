//! Sizes of images, in pixels. A pair, as resolutions are in a recipe.

/// Width and height in pixels.
pub type Size = (u32, u32);

/// Number of pixels of a size.
pub fn area(size: Size) -> u64 {
    u64::from(size.0) * u64::from(size.1)
}
