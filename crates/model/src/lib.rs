//! The frozen networks of Stable Diffusion: tokenizer, CLIP text encoders, VAE and UNet.
//!
//! Sizes are inferred from the checkpoint's header, so a toy and the real model take the same path. Layers keep the names
//! that diffusers and transformers give them. Adapters are an argument of each forward pass; no algorithm is known here.

mod bundle;
pub mod conditioning;
pub mod control;
pub mod detector;
pub mod family;
pub mod nn;
pub mod text;
pub mod tokenizer;
pub mod unet;
pub mod upscaler;
pub mod vae;

pub use bundle::{Bundle, PromptChunks, VaeHalves, WeightDtypes};
pub use conditioning::{AddedConditioning, Conditioning, Encoded, TimeIds};
