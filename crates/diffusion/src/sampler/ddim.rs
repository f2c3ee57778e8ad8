//! DDIM with eta 0 (Song et al. 2020, arXiv 2010.02502, equation 12).
//!
//! Timesteps and last step are those of diffusers' `DDIMScheduler` with Stable Diffusion 1.5's configuration: "leading"
//! spacing, `steps_offset` 1, `set_alpha_to_one` false, no clipping. With zero terminal SNR the spacing is "trailing", so
//! that the first step is at the last timestep (Lin et al. 2023, arXiv 2305.08891, section 3.3).

use burn::tensor::Tensor;

use crate::sampler::{Model, Steps};
use crate::schedule::{Schedule, TRAIN_STEPS};

/// Latents from unit normal noise `x`, both (B, C, H, W).
pub(super) fn sample<E>(
    model: &mut Model<'_, E>,
    mut x: Tensor<4>,
    schedule: &Schedule,
    steps: Steps,
) -> Result<Tensor<4>, E> {
    let stride = TRAIN_STEPS / steps.get();
    if schedule.ends_in_noise() {
        return from_noise_alone(model, x, schedule, steps);
    }
    for t in (0..steps.get()).rev().map(|step| step * stride + 1) {
        let epsilon = model(x.clone(), t as f64)?;
        // The last step ends at timestep 0, which still has a little noise.
        let (alpha, next) = (schedule.alpha(t), schedule.alpha(t.saturating_sub(stride)));
        // With the clean latents c = (x − √(1−a) ε) / √a this is √a' c + √(1−a') ε.
        let keep = (next / alpha).sqrt();
        let turn = (1.0 - next).sqrt() - keep * (1.0 - alpha).sqrt();
        x = x.mul_scalar(keep) + epsilon.mul_scalar(turn);
    }
    Ok(x)
}

/// The same by velocities v, which need no division by √a: the clean latents are c = √a x − √(1−a) v, the noise is
/// ε = √a v + √(1−a) x.
fn from_noise_alone<E>(
    model: &mut Model<'_, E>,
    mut x: Tensor<4>,
    schedule: &Schedule,
    steps: Steps,
) -> Result<Tensor<4>, E> {
    let (count, stride) = (steps.get(), TRAIN_STEPS / steps.get());
    for step in 0..count {
        let left = TRAIN_STEPS as f64 - step as f64 * TRAIN_STEPS as f64 / count as f64;
        let t = left.round_ties_even() as usize - 1;
        let velocity = model(x.clone(), t as f64)?;
        let (alpha, next) = (schedule.alpha(t), schedule.alpha(t.saturating_sub(stride)));
        let (signal, spread) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (next_signal, next_spread) = (next.sqrt(), (1.0 - next).sqrt());
        let keep = next_signal * signal + next_spread * spread;
        x = x.mul_scalar(keep) + velocity.mul_scalar(next_spread * signal - next_signal * spread);
    }
    Ok(x)
}
