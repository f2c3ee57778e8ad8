//! DPM++ 3M SDE: multistep DPM-Solver++ of third order for the stochastic equation (k-diffusion's
//! `sample_dpmpp_3m_sde`).

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};

/// Steps by three denoised latents.
pub(super) struct Dpmpp3MSde;

/// What a finished step leaves to the next ones.
struct Past {
    denoised: Tensor<4>,
    step: f64,
}

impl Method for Dpmpp3MSde {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let eta = walk.eta();
        let s_noise = walk.run.options.s_noise;
        let mut past: Vec<Past> = Vec::new();
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
            if step == 0.0 {
                continue;
            }
            let long = step * (1.0 + eta);
            x = x.mul_scalar((-long).exp()) - denoised.clone().mul_scalar((-long).exp_m1());
            if let Some(correction) = correction(&denoised, step, long, &past) {
                x = x + correction;
            }
            if eta > 0.0 {
                let strength = next * (-(-2.0 * eta * step).exp_m1()).sqrt() * s_noise;
                x = x + walk.brownian(pair[0], pair[1]).mul_scalar(strength);
            }
            past.insert(0, Past { denoised, step });
            past.truncate(2);
        }
        Ok(x)
    }
}

/// What the latest steps say beyond first order.
fn correction(denoised: &Tensor<4>, step: f64, long: f64, past: &[Past]) -> Option<Tensor<4>> {
    let phi_2 = (-long).exp_m1() / long + 1.0;
    let one = past.first()?;
    let ratio = one.step / step;
    let slope = (denoised.clone() - one.denoised.clone()).div_scalar(ratio);
    let Some(two) = past.get(1) else { return Some(slope.mul_scalar(phi_2)) };
    let older_ratio = two.step / step;
    let older = (one.denoised.clone() - two.denoised.clone()).div_scalar(older_ratio);
    let bend = (slope.clone() - older).div_scalar(ratio + older_ratio);
    let slope = slope + bend.clone().mul_scalar(ratio);
    let phi_3 = phi_2 / long - 0.5;
    Some(slope.mul_scalar(phi_2) - bend.mul_scalar(phi_3))
}
