//! Tests of this crate through its public API, with the embedded model.
//!
//! - `features`: what the model sees in pictures.

mod features;
