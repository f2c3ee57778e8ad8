//! Euler's method (k-diffusion's `sample_euler`; Karras et al. 2022).

use burn::tensor::Tensor;

use crate::sampler::churn::Churn;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Straight steps.
pub(super) struct Euler;

impl Method for Euler {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let sigmas = walk.sigmas();
        let churn = Churn::new(&walk, &sigmas);
        for index in 0..sigmas.len() - 1 {
            let sigma = churn.level(index);
            x = churn.raise(x, index, &mut walk);
            let denoised = walk.denoised(x.clone(), sigma)?;
            walk.step_seen(index);
            x = euler(x, denoised, sigma, sigmas[index + 1].into());
        }
        Ok(x)
    }
}
