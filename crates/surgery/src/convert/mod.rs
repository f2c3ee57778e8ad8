//! Conversion: nets from one naming to another, split, scaled; checkpoints to one pruned file.

pub mod models;
pub mod nets;
