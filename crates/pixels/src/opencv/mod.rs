//! What OpenCV does with images of 8 bits.

mod area;
mod border;
mod gaussian_blur;
mod lab;

pub use area::area;
pub use gaussian_blur::{Kernel, gaussian_blur, gaussian_blur_f32};
pub use lab::{lab_to_rgb, rgb_to_lab};
