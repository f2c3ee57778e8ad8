//! DPM++ 2S a: the singlestep DPM-Solver++ of second order with ancestral steps (Lu et al. 2022, arXiv 2211.01095;
//! k-diffusion's `sample_dpmpp_2s_ancestral`).

use burn::tensor::Tensor;

use crate::sampler::ancestral::Ancestral;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Midpoint steps towards the denoised latents, with fresh noise.
pub(super) struct Dpmpp2SA;

impl Method for Dpmpp2SA {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.eta();
        let s_noise = walk.run.options.s_noise;
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let sigma = f64::from(pair[0]);
            let Ancestral { down, up } = Ancestral::new(sigma, pair[1].into(), eta);
            let denoised = walk.denoised(x.clone(), sigma)?;
            walk.step_seen(index);
            if down == 0.0 {
                x = euler(x, denoised, sigma, down);
            } else {
                let step = sigma.ln() - down.ln();
                let middle = (sigma.ln() - 0.5 * step).exp();
                let halfway = x.clone().mul_scalar(middle / sigma) - denoised.mul_scalar((-0.5 * step).exp_m1());
                let denoised = walk.denoised(halfway, middle)?;
                x = x.mul_scalar(down / sigma) - denoised.mul_scalar((-step).exp_m1());
            }
            if pair[1] > 0.0 && eta > 0.0 {
                x = x + walk.noise().mul_scalar(s_noise * up);
            }
        }
        Ok(x)
    }
}
