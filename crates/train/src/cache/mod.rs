//! What is computed once and kept for the steps: latents of images, text states of captions.

pub(crate) mod latent_cache;
pub(crate) mod latent_files;
mod latent_notes;
pub(crate) mod latents;
pub(crate) mod share;
pub(crate) mod text_cache;
pub(crate) mod tokens;

pub use latent_cache::{Drawn, LatentCache};
pub(crate) use latent_cache::{EncoderOn, PlacedImages};
pub use latents::Latents;
pub use tokens::{Kept, Tokens, weighted_ids};
