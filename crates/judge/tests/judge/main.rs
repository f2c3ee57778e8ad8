//! Tests of this crate through its public API, with the embedded model.
//!
//! - `features`: what the model sees in pictures.
//! - `grids`: order, sharing and going on of grids.

mod features;
mod grids;
