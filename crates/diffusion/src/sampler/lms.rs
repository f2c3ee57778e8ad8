//! LMS: a linear multistep method of order 4 (k-diffusion's `sample_lms`; Adams and Bashforth with uneven steps).

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};
use crate::sampler::slope::slope;

/// How many slopes a step goes by.
const ORDER: usize = 4;
/// Places and weights of Gauss and Legendre's quadrature with three points, exact for polynomials of degree 5.
const QUADRATURE: [[f64; 2]; 3] =
    [[-0.774_596_669_241_483_4, 5.0 / 9.0], [0.0, 8.0 / 9.0], [0.774_596_669_241_483_4, 5.0 / 9.0]];

/// Steps by up to four slopes.
pub(super) struct Lms;

impl Method for Lms {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let sigmas = walk.sigmas();
        let mut slopes: Vec<Tensor<4>> = Vec::new();
        for index in 0..sigmas.len() - 1 {
            let denoised = walk.denoised(x.clone(), sigmas[index].into())?;
            walk.step_seen(index);
            slopes.insert(0, slope(&x, denoised, sigmas[index].into()));
            slopes.truncate(ORDER);
            let known: Vec<f64> = (0..slopes.len()).map(|back| sigmas[index - back].into()).collect();
            for (back, slope) in slopes.iter().enumerate() {
                x = x + slope.clone().mul_scalar(coefficient(&known, back, sigmas[index + 1].into()));
            }
        }
        Ok(x)
    }
}

/// The integral from the first of `known` to `next` of the polynomial that is 1 at number `back` of them and 0 at the
/// others. Levels that occur twice are left out of it.
fn coefficient(known: &[f64], back: usize, next: f64) -> f64 {
    let half = 0.5 * (next - known[0]);
    let middle = 0.5 * (next + known[0]);
    let mut sum = 0.0;
    for [place, weight] in QUADRATURE {
        let tau = middle + half * place;
        let mut product = 1.0;
        for (other, level) in known.iter().enumerate() {
            if other != back && *level != known[back] {
                product *= (tau - level) / (known[back] - level);
            }
        }
        sum += weight * product;
    }
    sum * half
}
