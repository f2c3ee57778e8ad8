//! Inpainting: what is done to pixels before and after sampling, so that only what a mask shows is painted anew.
//!
//! ```text
//! mask          file or drawing   → grey mask, inverted, blurred
//! crop_region   mask              → the part to be painted ("only masked")
//! ```
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/processing.py`, `masking.py`). No tensors here.

pub mod crop_region;
pub mod mask;

pub use crop_region::{Region, crop_region, crop_region_1_9};
