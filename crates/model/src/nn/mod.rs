//! The adaptable layers, and the builder that reads layers from a checkpoint.

mod builder;
mod layers;
mod read;

pub use builder::{Builder, MatrixSource};
pub use layers::{Conv2d, GroupNorm, LayerNorm, Linear};
pub(crate) use read::read;
