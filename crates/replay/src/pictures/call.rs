//! The first call of the UNet in a run, as recorded.

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_model::{AddedConditioning, Conditioning};

use super::models;
use crate::pack::Tensors;

/// Numbers of SDXL's vector behind the pooled output: six sizes as sinusoids.
const SIZES: usize = 6 * 256;

/// What the UNet was given.
pub(super) struct Call {
    /// The latents, scaled for it.
    pub x: Tensor<4>,
    /// The time of each.
    pub timesteps: Vec<f32>,
    /// The prompts' states first, then those of the negative prompt.
    pub conditioning: Conditioning,
}

impl Call {
    /// The call of a run.
    ///
    /// # Errors
    /// When it was not recorded.
    pub fn read(runs: &Tensors, id: &str) -> Result<Self> {
        let x: Tensor<4> = models::tensor(runs, &format!("{id}.unet.x"))?;
        let [batch, _, height, width] = x.dims();
        let name = format!("{id}.unet.y");
        let mut added = None;
        if runs.has(&name) {
            let vector: Tensor<2> = models::tensor(runs, &name)?;
            let pooled = vector.dims()[1] - SIZES;
            let height = 8.0 * height as f32;
            let width = 8.0 * width as f32;
            let time_ids = vec![[height, width, 0.0, 0.0, height, width]; batch];
            added = Some(AddedConditioning { pooled: vector.narrow(1, 0, pooled), time_ids });
        }
        let conditioning = Conditioning { context: models::tensor(runs, &format!("{id}.unet.context"))?, added };
        Ok(Self { x, timesteps: runs.f32(&format!("{id}.unet.t"))?, conditioning })
    }

    /// What belongs to one sample of the batch.
    pub fn sample(&self, index: usize) -> Self {
        Self {
            x: self.x.clone().narrow(0, index, 1),
            timesteps: vec![self.timesteps[index]],
            conditioning: self.conditioning.each().swap_remove(index),
        }
    }
}
