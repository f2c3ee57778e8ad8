//! DPM++ SDE: DPM-Solver++ of second order for the stochastic equation (k-diffusion's `sample_dpmpp_sde`).
//!
//! Levels go through f32 logarithms as there, since Brownian noise hangs on their last digits.

use burn::tensor::Tensor;

use crate::noise_table::{exp, ln};
use crate::sampler::ancestral::Ancestral;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::euler;

/// Two ancestral steps from where each step begins: to its middle, and with what is seen there to its end.
pub(super) struct DpmppSde;

/// A part of a step, from one time −ln σ to another.
struct Part {
    from: f32,
    to: f32,
}

impl Method for DpmppSde {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        for (index, pair) in walk.sigmas().windows(2).enumerate() {
            let denoised = walk.denoised(x.clone(), pair[0].into())?;
            walk.step_seen(index);
            if pair[1] == 0.0 {
                x = euler(x, denoised, pair[0].into(), 0.0);
                continue;
            }
            let from = -ln(pair[0]);
            let to = -ln(pair[1]);
            let middle = from + (to - from) * 0.5;
            let halfway = carried(x.clone(), denoised, &Part { from, to: middle }, &mut walk);
            let denoised = walk.denoised(halfway, exp(-middle).into())?;
            x = carried(x, denoised, &Part { from, to }, &mut walk);
        }
        Ok(x)
    }
}

/// `x` carried along a part of a step towards the denoised latents, with its noise.
fn carried<E>(x: Tensor<4>, denoised: Tensor<4>, part: &Part, walk: &mut Walk<'_, E>) -> Tensor<4> {
    let sigma = exp(-part.from);
    let next = exp(-part.to);
    let Ancestral { down, up } = Ancestral::new(sigma.into(), next.into(), walk.eta());
    let ratio = down / f64::from(sigma);
    let x = x.mul_scalar(ratio) + denoised.mul_scalar(1.0 - ratio);
    if up > 0.0 { x + walk.brownian(sigma, next).mul_scalar(walk.run.options.s_noise * up) } else { x }
}
