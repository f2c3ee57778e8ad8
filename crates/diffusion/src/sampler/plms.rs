//! PLMS: pseudo linear multistep (Liu et al. 2022, arXiv 2202.09778): DDIM's steps with the noise of up to four calls.

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};
use crate::sampler::ddim::carried;

/// Steps by up to four predicted noises.
pub(super) struct Plms;

/// Adams' and Bashforth's coefficients by how many older noises there are, newest first.
const COEFFICIENTS: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

impl Method for Plms {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let mut noises: Vec<Tensor<4>> = Vec::new();
        for (index, pair) in walk.timesteps().windows(2).rev().enumerate() {
            let ends = [pair[1], pair[0]];
            let noise = walk.predicted_noise(x.clone(), pair[1] as f64)?.guided;
            noises.insert(0, noise.clone());
            noises.truncate(COEFFICIENTS.len());
            let mixed = if noises.len() == 1 {
                // The first step has no past: the mean of the noise at both its ends.
                let end = carried(x.clone(), noise.clone(), walk.run.levels.table(), ends);
                (noise + walk.predicted_noise(end, pair[0] as f64)?.guided).mul_scalar(0.5)
            } else {
                multistep(&noises)
            };
            x = carried(x, mixed, walk.run.levels.table(), ends);
            walk.step_seen(index);
        }
        Ok(x)
    }
}

/// The noises, newest first, by Adams' and Bashforth's coefficients.
fn multistep(noises: &[Tensor<4>]) -> Tensor<4> {
    let coefficients = COEFFICIENTS[noises.len() - 1];
    let mut sum = noises[0].clone().mul_scalar(coefficients[0]);
    for (noise, coefficient) in noises.iter().zip(coefficients).skip(1) {
        sum = sum + noise.clone().mul_scalar(*coefficient);
    }
    sum
}
