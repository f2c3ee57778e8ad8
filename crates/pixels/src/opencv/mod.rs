//! What OpenCV does with images of 8 bits.

mod area;

pub use area::area;
