//! DPM++ 2M: the multistep DPM-Solver++ of second order (Lu et al. 2022, arXiv 2211.01095; k-diffusion's
//! `sample_dpmpp_2m`).

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};

/// Steps by two denoised latents.
pub(super) struct Dpmpp2M;

impl Method for Dpmpp2M {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let mut old: Option<Tensor<4>> = None;
        let mut last = 0.0;
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let sigma = f64::from(pair[0]);
            let next = f64::from(pair[1]);
            let denoised = walk.denoised(x.clone(), sigma)?;
            walk.step_seen(index);
            // Steps are those of −ln σ; down to 0 it is endless.
            let step = sigma.ln() - next.ln();
            let mut target = denoised.clone();
            if let Some(old) = old
                && next > 0.0
                && last > 0.0
            {
                let share = step / last / 2.0;
                target = denoised.clone().mul_scalar(1.0 + share) - old.mul_scalar(share);
            }
            x = x.mul_scalar(next / sigma) - target.mul_scalar((-step).exp_m1());
            old = Some(denoised);
            last = step;
        }
        Ok(x)
    }
}
