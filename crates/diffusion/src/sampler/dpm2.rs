//! DPM2: steps by the slope at the middle of the logarithms (k-diffusion's `sample_dpm_2`; Karras et al. 2022).

use burn::tensor::Tensor;

use crate::sampler::churn::churned_steps;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Midpoint steps.
pub(super) struct Dpm2;

impl Method for Dpm2 {
    fn sample<E>(&self, x: Tensor<4>, walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        churned_steps(x, walk, midpoint_step)
    }
}

/// One step, the number `index` of the run, from the first of `levels` to the second.
pub(super) fn midpoint_step<E>(
    x: Tensor<4>,
    walk: &mut Walk<'_, E>,
    index: usize,
    levels: [f64; 2],
) -> Result<Tensor<4>, E> {
    let [sigma, next] = levels;
    let denoised = walk.denoised(x.clone(), sigma)?;
    walk.step_seen(index);
    if next == 0.0 {
        return Ok(euler(x, denoised, sigma, next));
    }
    let middle = (0.5 * (sigma.ln() + next.ln())).exp();
    let halfway = euler(x.clone(), denoised, sigma, middle);
    let denoised = walk.denoised(halfway.clone(), middle)?;
    let slope = (halfway - denoised).div_scalar(middle);
    Ok(x + slope.mul_scalar(next - sigma))
}
