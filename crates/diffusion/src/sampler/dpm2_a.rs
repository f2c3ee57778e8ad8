//! DPM2 with ancestral steps (k-diffusion's `sample_dpm_2_ancestral`).

use burn::tensor::Tensor;

use crate::sampler::ancestral::Ancestral;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::dpm2::midpoint_step;

/// Midpoint steps with fresh noise.
pub(super) struct Dpm2A;

impl Method for Dpm2A {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.eta();
        let s_noise = walk.run.options.s_noise;
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let sigma = f64::from(pair[0]);
            let Ancestral { down, up } = Ancestral::new(sigma, pair[1].into(), eta);
            x = midpoint_step(x, &mut walk, index, [sigma, down])?;
            if down > 0.0 && eta > 0.0 {
                x = x + walk.noise().mul_scalar(s_noise * up);
            }
        }
        Ok(x)
    }
}
