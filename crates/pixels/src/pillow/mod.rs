//! What Pillow does with images of 8 bits.

mod composite;
mod convert;
mod gaussian_blur;
mod resize;

pub use composite::{alpha_composite, flattened, paste, paste_masked};
pub use convert::{gray, inverted, opaque, premultiplied, straight, without_alpha};
pub use gaussian_blur::gaussian_blur;
pub use resize::{Filter, Part, resize, resize_and_crop, resize_height, resize_nearest, resize_part, resize_width};
