//! Tests of this crate through its public API, against transformers, diffusers and sd-scripts.
//!
//! - `tokenizer`: token ids, and how they are laid out in chunks.
//! - `networks`: text encoder, VAE and UNet of SD1.5, forward and gradients, in f32 and bf16.
//! - `families`: text encoders and UNets of SD2.x and SDXL, forward and gradients.
//! - `painting`: what only painting needs: odd sides, residuals, inpainting models, networks that wrap.
//! - `control`: ControlNets in every form of file.
//! - `made_file`: files made of the tiny checkpoints, for these two.
//! - `golden`: recorded tensors and adapters, for networks and families.
//!
//! The recorded values lie in `tests/golden`; `oracle/` has the programs that wrote them.

mod golden;
mod made_file;

mod control;
mod families;
mod networks;
mod painting;
mod tokenizer;
