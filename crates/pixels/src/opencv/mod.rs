//! What OpenCV does with images of 8 bits.

mod area;
mod border;
mod gaussian_blur;

pub use area::area;
pub use gaussian_blur::{Kernel, gaussian_blur, gaussian_blur_f32};
