//! What OpenCV does with images of 8 bits.

mod area;
mod border;
mod canny;
mod gaussian_blur;
mod lab;
mod morphology;
mod resize;

pub use area::area;
pub use canny::canny;
pub use gaussian_blur::{Kernel, gaussian_blur, gaussian_blur_f32};
pub use lab::{lab_to_rgb, rgb_to_lab};
pub use morphology::{Pattern, Wanted, dilate, dilate_by, erode, otsu, remove_pattern};
pub use resize::{cubic, linear, nearest};
