//! What Pillow does with images of 8 bits.

mod resize;

pub use resize::{Filter, resize, resize_height, resize_width};
