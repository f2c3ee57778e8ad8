//! The two adaptable layers, and the builder that reads layers from a checkpoint.

mod builder;
mod layers;

pub use builder::{Builder, Place};
pub use layers::{Conv2d, Linear};
