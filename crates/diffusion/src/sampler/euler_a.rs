//! Euler ancestral: a deterministic Euler step that overshoots, then fresh noise that makes up for it.
//!
//! After k-diffusion's `sample_euler_ancestral` with eta 1, on the noise levels of its `DiscreteEpsDDPMDenoiser`
//! without quantization (`CompVisDenoiser.get_sigmas`), as the AUTOMATIC1111 web UI runs it. Its x is
//! latents + σ · noise, which is the network's noisy latent times √(σ² + 1).

use burn::tensor::Tensor;

use crate::sampler::{Model, NoiseSource, Steps};
use crate::schedule::{Schedule, TRAIN_STEPS};

/// Unit normal noise at the highest noise level.
pub(super) fn initial(noise: Tensor<4>, schedule: &Schedule) -> Tensor<4> {
    noise.mul_scalar(schedule.sigma((TRAIN_STEPS - 1) as f64))
}

/// Latents from `x` of [`initial`], both (B, C, H, W).
pub(super) fn sample<E>(
    model: &mut Model<'_, E>,
    mut x: Tensor<4>,
    schedule: &Schedule,
    steps: Steps,
    noise: &mut NoiseSource<'_>,
) -> Result<Tensor<4>, E> {
    for step in 0..steps.get() {
        let t = timestep(step, steps);
        let sigma = schedule.sigma(t);
        let level = (sigma * sigma + 1.0).sqrt();
        let answer = model(x.clone().div_scalar(level), t)?;
        let clean = match schedule.ends_in_noise() {
            false => x.clone() - answer.mul_scalar(sigma),
            true => x.clone().div_scalar(level * level) - answer.mul_scalar(sigma / level),
        };
        if step + 1 == steps.get() {
            return Ok(clean);
        }
        // down² + up² = next²: the Euler step ends below the next level, and the noise leads up to it.
        let next = schedule.sigma(timestep(step + 1, steps));
        let down = next * next / sigma;
        let up = (next * next - down * down).sqrt();
        x = x.mul_scalar(down / sigma) + clean.mul_scalar(1.0 - down / sigma) + noise(step).mul_scalar(up);
    }
    Ok(x)
}

/// The timestep of a step: from 999 down to 0 in equal strides.
fn timestep(step: usize, steps: Steps) -> f64 {
    let last = (TRAIN_STEPS - 1) as f64;
    last - last * step as f64 / (steps.get() - 1) as f64
}
