//! What the network sees and what it should answer: the noisy latents and the target, epsilon or velocity.

use burn::tensor::{Tensor, TensorData};

use crate::schedule::Schedule;
use crate::step::NoiseLevel;

/// The kind of answer that a network was trained to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise; Stable Diffusion 1.x.
    Epsilon,
    /// The velocity √a · noise − √(1 − a) · latent (Salimans and Ho 2022); Stable Diffusion 2.x-v.
    V,
}

impl Prediction {
    /// The denoised latents according to the network's `answer` to noisy latents `x` at `level`: with
    /// x = √a · latents + √(1−a) · noise they are (x − √(1−a) ε) / √a, or √a x − √(1−a) v, which is −v where a is 0.
    ///
    /// # Shapes
    /// - answer, x and output: [B, C, H, W]
    pub fn denoised(self, answer: Tensor<4>, x: Tensor<4>, level: NoiseLevel) -> Tensor<4> {
        let signal = level.alpha.sqrt();
        let spread = (1.0 - level.alpha).sqrt();
        match self {
            Self::Epsilon => (x - answer.mul_scalar(spread)).div_scalar(signal),
            Self::V => x.mul_scalar(signal) - answer.mul_scalar(spread),
        }
    }

    /// What the network should answer to [`add_noise`] of the same arguments.
    ///
    /// # Shapes
    /// `latents` and `noise` (B, C, H, W), `timesteps` B; the result (B, C, H, W).
    pub fn target(self, schedule: &Schedule, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        match self {
            Self::Epsilon => noise,
            Self::V => {
                let Mixture { signal, spread } = Mixture::of(schedule, &latents, timesteps);
                signal * noise - spread * latents
            }
        }
    }
}

/// The noisy latents √a · latents + √(1 − a) · noise.
///
/// # Shapes
/// `latents` and `noise` (B, C, H, W), `timesteps` B; the result (B, C, H, W).
pub fn add_noise(schedule: &Schedule, latents: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
    let Mixture { signal, spread } = Mixture::of(schedule, &latents, timesteps);
    signal * latents + spread * noise
}

/// How much of latents and of noise there is in the noisy latents of each sample.
struct Mixture {
    /// √a, (B, 1, 1, 1).
    signal: Tensor<4>,
    /// √(1 − a), (B, 1, 1, 1).
    spread: Tensor<4>,
}

impl Mixture {
    /// The mixture at `timesteps`, on the device of `latents`.
    fn of(schedule: &Schedule, latents: &Tensor<4>, timesteps: &[usize]) -> Self {
        let batch = latents.dims()[0];
        // Without this a single timestep would be broadcast over the batch.
        assert_eq!(timesteps.len(), batch, "one timestep per sample");
        let mut signal = Vec::with_capacity(batch);
        let mut spread = Vec::with_capacity(batch);
        for t in timesteps {
            let alpha = schedule.alphas_cumprod[*t];
            signal.push(alpha.sqrt());
            spread.push((1.0 - alpha).sqrt());
        }
        let shape = [batch, 1, 1, 1];
        let device = latents.device();
        Self {
            signal: Tensor::from_data(TensorData::new(signal, shape), &device),
            spread: Tensor::from_data(TensorData::new(spread, shape), &device),
        }
    }
}
