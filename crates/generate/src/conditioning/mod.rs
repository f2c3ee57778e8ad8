//! From texts to what the UNet is told: chunks, weights, both of SDXL's encoders, pooled output and sizes.
//!
//! All texts that take turns in one prompt are encoded in one call, as in the AUTOMATIC1111 web UI, since they share the
//! number of chunks, and the mean that [`Emphasis::Original`](crate::prompt::emphasis::Emphasis) brings back.

pub mod chunks;
mod encode;
mod kept;
pub mod length;
pub mod places;
mod plan;
mod told_sizes;
pub mod weighting;

pub use encode::{Encoders, TextOptions};
pub use kept::{KeptKey, KeptTexts};
pub use plan::{Conditions, Part, PassTexts};
pub use told_sizes::ToldSizes;
