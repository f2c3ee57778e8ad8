//! Heun's method: the mean of the slopes at both ends of a step (k-diffusion's `sample_heun`; Karras et al. 2022).

use burn::tensor::Tensor;

use crate::sampler::churn::churned_steps;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::slope;

/// Steps by two slopes.
pub(super) struct Heun;

impl Method for Heun {
    fn sample<E>(&self, x: Tensor<4>, walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        churned_steps(x, walk, heun_step)
    }
}

/// One step, the number `index` of the run, from the first of `levels` to the second.
pub(super) fn heun_step<E>(
    x: Tensor<4>,
    walk: &mut Walk<'_, E>,
    index: usize,
    levels: [f64; 2],
) -> Result<Tensor<4>, E> {
    let [sigma, next] = levels;
    let denoised = walk.denoised(x.clone(), sigma)?;
    walk.step_seen(index);
    let first = slope(&x, denoised, sigma);
    let step = next - sigma;
    if next == 0.0 {
        return Ok(x + first.mul_scalar(step));
    }
    let end = x.clone() + first.clone().mul_scalar(step);
    let denoised = walk.denoised(end.clone(), next)?;
    let second = slope(&end, denoised, next);
    Ok(x + (first + second).mul_scalar(0.5 * step))
}
