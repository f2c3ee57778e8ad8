//! DDIM (Song et al. 2020, arXiv 2010.02502, equation 12) as the web UI runs it: it ends at timestep 1, one call short.

use burn::tensor::Tensor;

use crate::noise_table::NoiseTable;
use crate::sampler::contract::{Method, Walk};

/// Where the direction to the noisy latents comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ddim {
    /// The guided noise.
    Guided,
    /// The noise that the negative prompt predicts (CFG++; Chung et al. 2024, arXiv 2406.08070).
    Unconditional,
}

impl Method for Ddim {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.run.options.eta.unwrap_or(0.0);
        for (index, pair) in walk.timesteps().windows(2).rev().enumerate() {
            let answer = walk.predicted_noise(x.clone(), pair[1] as f64)?;
            let guided = answer.guided;
            let direction = match self {
                Self::Guided => guided.clone(),
                Self::Unconditional => answer.unconditional.unwrap_or_else(|| guided.clone()),
            };
            let table = walk.run.levels.table();
            let alpha = table.alpha(pair[1] as f64);
            let previous = table.alpha(pair[0] as f64);
            let spread = eta * ((1.0 - previous) / (1.0 - alpha) * (1.0 - alpha / previous)).max(0.0).sqrt();
            let clean = clean(x, guided, table, pair[1]);
            let rest = (1.0 - previous - spread * spread).max(0.0).sqrt();
            x = clean.mul_scalar(previous.sqrt()) + direction.mul_scalar(rest);
            if spread > 0.0 {
                x = x + walk.noise().mul_scalar(spread);
            }
            walk.step_seen(index);
        }
        Ok(x)
    }
}

/// The latents in noisy latents `x` with the noise `noise`: (x − √(1 − ᾱ) · noise) / √ᾱ. Where hardly anything is left of
/// them they are the difference of two near numbers, so what √(1 − ᾱ) lacks to 1 is a summand of its own.
fn clean(x: Tensor<4>, noise: Tensor<4>, table: &NoiseTable, timestep: usize) -> Tensor<4> {
    let [_, spread] = table.strengths(timestep);
    let lacking = 1.0 - spread;
    (x - noise.clone() + noise.mul_scalar(lacking)).div_scalar(table.alpha(timestep as f64).sqrt())
}

/// A step of DDIM with eta 0 between two whole timesteps.
pub(super) fn carried(x: Tensor<4>, noise: Tensor<4>, table: &NoiseTable, timesteps: [usize; 2]) -> Tensor<4> {
    let clean = clean(x, noise.clone(), table, timesteps[0]);
    let to = table.alpha(timesteps[1] as f64);
    clean.mul_scalar(to.sqrt()) + noise.mul_scalar((1.0 - to).sqrt())
}
