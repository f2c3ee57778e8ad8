//! The VAE between images and latents (names as in diffusers' `AutoencoderKL`). It is never adapted.

mod blocks;
mod decoder;
mod encoder;
mod preview;

pub use decoder::Decoder;
pub use encoder::{Encoder, Moments};
pub use preview::{LatentColors, Preview, preview};

/// Height and width of an image divided by those of its latents.
pub const FACTOR: usize = 8;
