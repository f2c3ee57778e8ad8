//! Merging: nets into a checkpoint, nets with each other, checkpoints with each other.

pub mod apply;
pub mod into_model;
pub mod models;
pub mod nets;
pub mod peers;
