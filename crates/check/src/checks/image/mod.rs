//! Checks of single images.

pub mod alpha;
pub mod aspect;
pub mod border;
pub mod cast;
pub mod dark;
pub mod exif;
pub mod face;
pub mod flat;
pub mod fried;
pub mod grey;
pub mod jpeg;
pub mod light;
pub mod painted;
pub mod people;
pub mod read;
pub mod size_odd;
pub mod small;
pub mod soft;
pub mod writing;
