//! Opens the checkpoint that a recipe or a command names: a file, or the model inside the program.

use std::path::Path;

use anyhow::Result;
use lorabake_recipe::model::{self, Model};
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;

use crate::embedded;

/// Opens a checkpoint, with the VAE at `vae` in the place of its own.
///
/// # Errors
/// When it is none that we know, or the VAE is none; the message says what it is.
pub fn open_checkpoint(which: &model::Checkpoint, vae: Option<&Path>) -> Result<Checkpoint> {
    match which {
        model::Checkpoint::Embedded => {
            let mut checkpoint = embedded::checkpoint()?;
            if let Some(vae) = vae {
                checkpoint.use_vae(vae)?;
            }
            Ok(checkpoint)
        }
        model::Checkpoint::File(path) => Ok(Checkpoint::open_with_vae(path, vae)?),
    }
}

/// Opens a checkpoint to paint with, for which an inpainting model will do, too.
///
/// # Errors
/// As for [`open_checkpoint`].
pub fn open_for_painting(which: &model::Checkpoint, vae: Option<&Path>) -> Result<Checkpoint> {
    match which {
        model::Checkpoint::Embedded => open_checkpoint(which, vae),
        model::Checkpoint::File(path) => Ok(Checkpoint::open_for(Purpose::Painting, path, vae)?),
    }
}

/// Opens the recipe's checkpoint, with the VAE that the recipe puts in the place of its own.
///
/// # Errors
/// As for [`open_checkpoint`].
pub fn open_model(model: &Model) -> Result<Checkpoint> {
    open_checkpoint(&model.checkpoint, model.vae.as_deref())
}
