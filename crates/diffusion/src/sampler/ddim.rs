//! DDIM with eta 0 (Song et al. 2020, arXiv 2010.02502, equation 12).
//!
//! Timesteps and last step are those of diffusers' `DDIMScheduler` with Stable Diffusion 1.5's configuration: "leading"
//! spacing, `steps_offset` 1, `set_alpha_to_one` false, no clipping.

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
