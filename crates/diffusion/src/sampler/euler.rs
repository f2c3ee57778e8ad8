//! Euler's method (k-diffusion's `sample_euler`; Karras et al. 2022).

use burn::tensor::Tensor;

use crate::sampler::churn::churned_steps;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Straight steps.
pub(super) struct Euler;

impl Method for Euler {
    fn sample<E>(&self, x: Tensor<4>, walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        churned_steps(x, walk, straight_step)
    }
}

/// One step, the number `index` of the run, from the first of `levels` to the second.
fn straight_step<E>(x: Tensor<4>, walk: &mut Walk<'_, E>, index: usize, levels: [f64; 2]) -> Result<Tensor<4>, E> {
    let [sigma, next] = levels;
    let denoised = walk.denoised(x.clone(), sigma)?;
    walk.step_seen(index);
    Ok(euler(x, denoised, sigma, next))
}
