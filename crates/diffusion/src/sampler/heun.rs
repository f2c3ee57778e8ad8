//! Heun's method: the mean of the slopes at both ends of a step (k-diffusion's `sample_heun`; Karras et al. 2022).

use burn::tensor::Tensor;

use crate::sampler::churn::Churn;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::slope;

/// Steps by two slopes.
pub(super) struct Heun;

impl Method for Heun {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let sigmas = walk.sigmas();
        let churn = Churn::new(&walk, &sigmas);
        for index in 0..sigmas.len() - 1 {
            x = churn.raise(x, index, &mut walk);
            x = heun_step(x, &mut walk, index, [churn.level(index), sigmas[index + 1].into()])?;
        }
        Ok(x)
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
