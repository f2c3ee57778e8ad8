//! Opens the checkpoint that a recipe or a command names: a file, or the model inside the program.

use anyhow::Result;
use lorabake_recipe::model::{self, Model};
use lorabake_weights::Checkpoint;

use crate::embedded;

/// Opens a checkpoint.
///
/// # Errors
/// When it is none that we know; the message says what it is.
pub fn open_checkpoint(which: &model::Checkpoint) -> Result<Checkpoint> {
    match which {
        model::Checkpoint::Embedded => Ok(embedded::checkpoint()?),
        model::Checkpoint::File(path) => Ok(Checkpoint::open(path)?),
    }
}

/// Opens the recipe's checkpoint, with the VAE that the recipe puts in the place of its own.
///
/// # Errors
/// As for [`open_checkpoint`], and when the VAE is none.
pub fn open_model(model: &Model) -> Result<Checkpoint> {
    let mut checkpoint = open_checkpoint(&model.checkpoint)?;
    if let Some(vae) = &model.vae {
        checkpoint.use_vae(vae)?;
    }
    Ok(checkpoint)
}
