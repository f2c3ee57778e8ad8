//! Diffusion features: what the UNet holds of a picture with some noise (DIFT, Tang et al. 2023, arXiv 2306.03881).
//!
//! Definition: latents x₀ are mixed with noise to timestep t, the UNet without LoRA is told a class word or nothing, and
//! its activation behind a block of the way up is averaged over several noises. The paper takes t = 261 and block 1 of
//! SD2.1 for what things are (block 2 and t = 0 for where edges are), and eight noises.
//! Misleads: the noise level decides what is seen, and averaging over noises does not change that (CleanDIFT, Stracke et
//! al. 2024, arXiv 2412.03439). Small faces are below the grid.

use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};
use lorabake_generate::painter::Painter;
use lorabake_model::Conditioning;
use lorabake_recipe::model::Family;

/// Noises that are averaged.
pub const NOISES: usize = 4;

/// Models of pictures of at most this side in pixels have few positions.
const SMALL: usize = 128;

/// Where in the UNet a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dift {
    /// The block on the way up behind which the activation is taken, counted from 0 as in diffusers.
    pub up_block: usize,
    /// The timestep to which noise is added, 0 to 999.
    pub timestep: usize,
}

impl Dift {
    /// The paper's place for SD1.x and SD2.x, and the one as wide for SDXL. The embedded model is SD1.x in small: behind its
    /// block 1 there are 8 × 8 positions, behind block 2 16 × 16. Of 56 drawings, the patches of the same one in another
    /// style were nearest for 7, 12, 15 and 0 behind blocks 0 to 3 at t = 261, and for 13, 15 and 9 behind block 2 at
    /// t = 50, 150 and 400; among the nearest five for 18, 25, 29 and 8, and 26, 28 and 30 (`examples/tell_apart.rs`).
    pub fn usual(family: Family, side: usize) -> Self {
        if side <= SMALL {
            return Self { up_block: 2, timestep: 261 };
        }
        Self::of_family(family)
    }

    fn of_family(family: Family) -> Self {
        let up_block = if family == Family::Sdxl { 0 } else { 1 };
        Self { up_block, timestep: 261 }
    }

    /// The activation for latents, a mean over `noises`.
    ///
    /// # Shapes
    /// - latents: [1, 4, H, W] in the UNet's scale
    /// - noises: unit normal values, 4 × H × W each
    /// - output: [1, C, H', W'] of the block
    ///
    /// # Errors
    /// When a network cannot be read any more, or gives values that are not numbers.
    pub fn activation(
        &self,
        painter: &Painter,
        latents: Tensor<4>,
        noises: &[Vec<f32>],
        conditioning: &Conditioning,
    ) -> Result<Tensor<4>> {
        painter.bring_unet()?;
        let share = f64::from(painter.table().alphas()[self.timestep]);
        let shape = latents.dims();
        let signal = latents.mul_scalar(share.sqrt());
        let unet = &painter.bundle().unet;
        let device = painter.device();
        let one = |noise: &Vec<f32>| {
            let noise = Tensor::from_data(TensorData::new(noise.clone(), shape), device);
            let noisy = signal.clone() + noise.mul_scalar((1.0 - share).sqrt());
            unet.behind_up_block(self.up_block, noisy, &[self.timestep as f32], conditioning.clone())
        };
        let mut activations = Vec::with_capacity(noises.len());
        if painter.threads().count() > 1 {
            for group in noises.chunks(painter.threads().count()) {
                activations.extend(painter.threads().each(group, one));
            }
        } else {
            activations.extend(noises.iter().map(one));
        }
        let mean = Tensor::cat(activations, 0).mean_dim(0);
        if let Some(fault) = painter.bundle().fault() {
            return Err(fault.into());
        }
        if !mean.clone().sum().into_scalar::<f32>().is_finite() {
            bail!("what the UNet makes of the picture are no numbers; is the checkpoint damaged?");
        }
        Ok(mean)
    }
}
