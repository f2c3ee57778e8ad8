//! Pixels: image files in, and what Pillow and OpenCV do with 8-bit images, digit for digit.
//!
//! ```text
//! probe::size       header of a file  → size, without decoding
//! decode::decode    file              → Rgb, upright
//! pillow            resize, blur, paste, convert
//! opencv            resize, blur, L*a*b*
//! histogram         images whose values are spread as another's
//! luminosity        colours of one image, brightness of another
//! ```
//!
//! Neither data sets nor networks are known here, and nothing is written or printed.

pub mod size;

pub mod image;

pub mod decode;
mod fault;
pub mod probe;
mod webp_chunks;

pub mod histogram;
pub mod luminosity;
pub mod opencv;
pub mod pillow;

pub use decode::{decode, decode_rgba};
pub use fault::{Fault, FileError};
pub use image::{Gray, Image, Rgb, Rgba};
pub use size::Size;
