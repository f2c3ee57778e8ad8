//! Initial noise from a file, so that two programs can paint the same picture.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_weights::formats::tensor_file::TensorFile;

/// Reads the unit normal tensor `latent` (1, 4, h, w) of a safetensors file: its values row-major, and (h, w).
///
/// # Errors
/// When the file cannot be read or has no such tensor.
pub fn read_noise(path: &Path) -> Result<(Vec<f32>, [usize; 2])> {
    let file = TensorFile::open(path)?;
    let shape = file.shape("latent").with_context(|| format!("{} has no tensor named latent", file.label()))?;
    let &[1, 4, height, width] = shape else {
        bail!("{}: latent has shape {shape:?}; (1, 4, height / 8, width / 8) is needed", file.label())
    };
    Ok((file.read_f32("latent")?, [height, width]))
}
