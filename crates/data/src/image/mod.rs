//! From an image file to the pixels of one use: decode, resize, crop, mirror, change colours, mask.

pub mod color;
pub mod crop;
pub mod decode;
pub mod face;
pub mod mask;
pub mod probe;
mod resize;
pub mod rgb;
pub mod view;
mod webp_chunks;

pub use decode::decode;
pub use rgb::Rgb;
