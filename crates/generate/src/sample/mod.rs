//! Sample pictures as sd-scripts makes them while it trains: prompts without syntax, chunks of 75 tokens joined its way,
//! diffusers' DDIM, noise of our own streams.
//!
//! Not here: pictures as the web UI makes them, which is all the rest of this crate.

mod pipeline;
mod request;

pub use pipeline::{Pipeline, PipelineRef, picture_dtypes};
pub use request::{LARGEST_SCALE, LoraUse, Picture, Request, SIDES};
