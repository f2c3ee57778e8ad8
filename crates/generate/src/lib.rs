//! From a [`Request`] to a [`Picture`]: prompts, conditioning, guided sampling, decoding.
//!
//! Not here: samplers (`diffusion`), the networks (`model`), files and words for a screen (`cli`). Nothing is written or
//! printed, and neither the data set nor the trainer is known.

mod checkpoint;
pub mod embedded;
mod noise_file;
mod pipeline;
pub mod prompt;
pub mod prompt_file;
mod request;

pub use checkpoint::{open_checkpoint, open_model};
pub use noise_file::read_noise;
pub use pipeline::{Pipeline, PipelineRef, picture_dtypes};
pub use request::{LARGEST_SCALE, LoraUse, Picture, Request, SIDES};
