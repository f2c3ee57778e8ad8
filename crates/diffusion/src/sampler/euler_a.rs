//! Euler ancestral: a deterministic Euler step that overshoots, then fresh noise that makes up for it.
//!
//! After k-diffusion's `sample_euler_ancestral`.

use burn::tensor::Tensor;

use crate::sampler::ancestral::Ancestral;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Straight steps with fresh noise.
pub(super) struct EulerA;

impl Method for EulerA {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.eta();
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let sigma = f64::from(pair[0]);
            let next = f64::from(pair[1]);
            let denoised = walk.denoised(x.clone(), sigma)?;
            walk.step_seen(index);
            let Ancestral { down, up } = Ancestral::new(sigma, next, eta);
            x = euler(x, denoised, sigma, down);
            if next > 0.0 && eta > 0.0 {
                x = x + walk.noise().mul_scalar(up);
            }
        }
        Ok(x)
    }
}
