//! Tests of this crate through its public API, against transformers, diffusers and sd-scripts.
//!
//! - `tokenizer`: token ids, and how they are laid out in chunks.
//! - `networks`: text encoder, VAE and UNet of SD1.5, forward and gradients, in f32 and bf16.
//! - `families`: text encoders and UNets of SD2.x and SDXL, forward and gradients.
//! - `golden`: recorded tensors and adapters, for the latter two.
//!
//! The recorded values lie in `tests/golden`; `oracle/` has the programs that wrote them.

mod golden;

mod families;
mod networks;
mod tokenizer;
