//! Upscaling of pictures: by resizing, or by a network tile by tile.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/upscaler.py`, `upscaler_utils.py`, `images.py`).

mod resampler;
mod tiles;

pub use resampler::{Resampler, upscaled, upscaled_to};
pub use tiles::{Tiles, edges, in_tiles};
