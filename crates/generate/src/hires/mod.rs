//! Hires fix: the size of its second pass, and the latent that it starts from.
//!
//! ```text
//! target          size, factor or size wanted → Target: what is painted, and what of it is kept
//! LatentUpscaler  latent                      → latent of another size
//! ```
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/processing.py`, `shared_items.py`). No tensors here.

mod latent_upscaler;
mod target;

pub use latent_upscaler::{LatentUpscaler, crop_latent, resize_latent};
pub use target::{Enlarge, Target, target};
