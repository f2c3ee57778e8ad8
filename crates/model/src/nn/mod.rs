//! The two adaptable layers, and the builder that reads layers from a checkpoint.

mod builder;
mod layers;

pub use builder::{Builder, MatrixSource};
pub use layers::{Conv2d, Linear};
