//! From an image file to the pixels of one use: decode, resize, crop, mirror, change colours, mask.

pub mod color;
pub mod crop;
pub mod face;
pub mod mask;
pub mod resize;
pub mod view;

pub use lorabake_pixels::{Rgb, decode, probe};
