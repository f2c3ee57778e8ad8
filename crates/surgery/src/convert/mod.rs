//! Conversion: nets from one naming to another, split, scaled; checkpoints to one pruned file, or to a folder of diffusers.

pub mod bundle;
pub mod folder;
pub mod models;
pub mod nets;
pub mod settings;
