//! DPM++ 2M SDE: multistep DPM-Solver++ of second order for the stochastic equation (k-diffusion's
//! `sample_dpmpp_2m_sde`).

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};

/// How the second order is brought in.
pub(super) enum Dpmpp2MSde {
    /// As in the midpoint method.
    Midpoint,
    /// As in Heun's method.
    Heun,
}

impl Method for Dpmpp2MSde {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.eta();
        let s_noise = walk.run.options.s_noise;
        let mut old: Option<Tensor<4>> = None;
        let mut last = 0.0;
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let sigma = f64::from(pair[0]);
            let next = f64::from(pair[1]);
            let denoised = walk.denoised(x.clone(), sigma)?;
            walk.step_seen(index);
            if next == 0.0 {
                x = denoised;
                continue;
            }
            let step = sigma.ln() - next.ln();
            let long = step * (1.0 + eta);
            let share = -(-long).exp_m1();
            x = x.mul_scalar(next / sigma * (-eta * step).exp()) + denoised.clone().mul_scalar(share);
            if let Some(old) = old
                && last > 0.0
                && step > 0.0
            {
                let weight = match self {
                    Self::Midpoint => 0.5 * share,
                    Self::Heun => 1.0 - share / long,
                };
                x = x + (denoised.clone() - old).mul_scalar(weight * step / last);
            }
            if eta > 0.0 {
                let strength = next * (-(-2.0 * eta * step).exp_m1()).sqrt() * s_noise;
                x = x + walk.brownian(pair[0], pair[1]).mul_scalar(strength);
            }
            old = Some(denoised);
            last = step;
        }
        Ok(x)
    }
}
