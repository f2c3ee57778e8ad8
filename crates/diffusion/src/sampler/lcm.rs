//! LCM: the sampler of latent consistency models (Luo et al. 2023, arXiv 2310.04378): denoised at once, noised again.

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};

/// Denoised latents with fresh noise.
pub(super) struct Lcm;

impl Method for Lcm {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            x = walk.consistent(x, pair[0].into())?;
            walk.step_seen(index);
            if pair[1] > 0.0 {
                x = x + walk.noise().mul_scalar(f64::from(pair[1]));
            }
        }
        Ok(x)
    }
}
