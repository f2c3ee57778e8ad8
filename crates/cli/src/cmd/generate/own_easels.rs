//! The easels of detectors that paint with a checkpoint or a VAE of their own: opened when they are first wanted, and kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lorabake_generate::adetailer::{OpenUnit, OwnModel};
use lorabake_generate::easel::Easel;

use crate::picture_args::model::ModelArgs;
use crate::told::Told;

/// The easels by the number of their detector; detectors of the same networks share one.
pub struct OwnEasels {
    model: ModelArgs,
    embedding_dirs: Vec<PathBuf>,
    tiling: bool,
    easels: BTreeMap<String, Easel>,
}

impl OwnEasels {
    /// None is open yet; they are computed as `model` is.
    pub fn new(model: &ModelArgs, embedding_dirs: &[PathBuf], tiling: bool) -> Self {
        let embedding_dirs = embedding_dirs.to_vec();
        Self { model: model.clone(), embedding_dirs, tiling, easels: BTreeMap::new() }
    }

    /// Reads the headers of the units' own checkpoints, so that what is wrong with them is told before anything is painted.
    ///
    /// # Errors
    /// When one is none.
    pub fn check(&self, units: &[OpenUnit]) -> Result<()> {
        for OpenUnit { unit, .. } in units {
            if unit.own != OwnModel::default() {
                self.args(&unit.own).open_model(&mut Told::default()).context("--detailer_checkpoint")?;
            }
        }
        Ok(())
    }

    /// The easel of a unit; `None` if it paints with the picture's.
    ///
    /// # Errors
    /// When its networks cannot be read.
    pub fn of(&mut self, own: &OwnModel) -> Result<Option<&mut Easel>> {
        if *own == OwnModel::default() {
            return Ok(None);
        }
        let key = format!("{own:?}");
        if !self.easels.contains_key(&key) {
            let args = self.args(own);
            let mut told = Told::default();
            let model = args.open_model(&mut told).context("--detailer_checkpoint")?;
            let easel = args.easel(model, self.tiling, &self.embedding_dirs, &mut told)?;
            self.easels.insert(key.clone(), easel);
        }
        Ok(self.easels.get_mut(&key))
    }

    fn args(&self, own: &OwnModel) -> ModelArgs {
        let mut args = self.model.clone();
        if let Some(checkpoint) = &own.checkpoint {
            args.pretrained_model_name_or_path = Some(checkpoint.clone());
            // The VAE that was given is for the picture's checkpoint.
            args.vae = None;
        }
        if own.vae.is_some() {
            args.vae = own.vae.clone();
        }
        args
    }
}
