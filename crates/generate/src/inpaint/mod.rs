//! Inpainting: what is done to pixels before and after sampling, so that only what a mask shows is painted anew.
//!
//! ```text
//! prepare       picture, mask     → Prepared: what is encoded, the mask at its size, what is laid over the result
//!   mask        file or drawing   → grey mask, inverted, blurred
//!   crop_region mask              → the part to be painted ("only masked")
//!   fill        picture, mask     → the masked part filled with the colours around it
//! sketch        picture, drawing → mask of what was drawn, the drawing blended in (inpaint sketch)
//! latent        latent, mask      → what sampling starts from; what is kept of the original
//! condition     picture, mask     → what networks trained for inpainting see beside the latent
//! soft          settings          → soft inpainting: masks at each step, what is kept by what changed
//! overlay       result, original  → the result with what is kept of the original over it
//! ```
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/processing.py`, `masking.py`). No tensors here.

pub mod condition;
pub mod crop_region;
pub mod fill;
pub mod latent;
pub mod mask;
pub mod overlay;
mod prepare;
pub mod sketch;
pub mod soft;
pub mod weighted_percentile;

pub use crop_region::{Region, crop_region, crop_region_1_9};
pub use fill::{MaskedContent, fill};
pub use prepare::{Area, Inpaint, Masked, Prepared, prepare};
pub use soft::SoftInpainting;
