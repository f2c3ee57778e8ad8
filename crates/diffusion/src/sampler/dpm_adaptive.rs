//! DPM adaptive: DPM-Solver of order 2 and 3 that finds its own steps (Lu et al. 2022, arXiv 2206.00927; k-diffusion's
//! `sample_dpm_adaptive`). The number of steps that is asked for has no effect.

use burn::tensor::Tensor;

use crate::levels::Kind;
use crate::noise_table::ln;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::dpm_solver::{Solver, Target};

/// Steps whose length is controlled by their error.
pub(super) struct DpmAdaptive;

const RELATIVE: f64 = 0.05;
const ABSOLUTE: f64 = 0.0078;
const FIRST_STEP: f64 = 0.05;
/// A step whose factor is lower is taken again.
const ACCEPTED: f64 = 0.81;
/// Steps that are taken at most, so that a network without sense does not run for ever.
const MOST_STEPS: usize = 10_000;
/// The end is reached when it is nearer.
const NEAR: f64 = 1e-5;

impl Method for DpmAdaptive {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let Kind::Sigmas(levels) = walk.run.levels.kind() else { panic!("levels of a k-diffusion sampler") };
        let [mut time, end] = [levels.solver[1], levels.solver[0]].map(|sigma| -f64::from(ln(sigma)));
        let eta = walk.eta();
        // The error grows with the power of the step that is one higher than its order.
        let power = if eta > 0.0 { 1.0 / 1.5 } else { 1.0 / 3.0 };
        let mut previous = x.clone();
        let mut length = FIRST_STEP;
        for index in 0..MOST_STEPS {
            if time >= end - NEAR {
                break;
            }
            let to = f64::from((time + length) as f32).min(end);
            let target = Target::new(time, to, end, eta);
            let solver = Solver::new(x, time, &mut walk)?;
            let seen = solver.on_the_way(target.time, 1.0 / 3.0, &mut walk)?;
            let low = solver.second_order(target.time, 1.0 / 3.0, &seen);
            let high = solver.third_order(target.time, &seen, &mut walk)?;
            walk.step_seen(index);
            let error = error(&low, &high, &previous);
            if !error.is_finite() {
                return Ok(high);
            }
            let factor = (1.0 / (error + 1e-8)).powf(power);
            let factor = 1.0 + (factor - 1.0).atan();
            length *= factor;
            if factor >= ACCEPTED {
                x = high;
                // The noise is drawn where none is added too, as in the original.
                if eta > 0.0 {
                    x = x + walk.noise().mul_scalar(target.up);
                }
                previous = low;
                time = to;
            } else {
                x = solver.x;
            }
        }
        Ok(x)
    }
}

/// The root mean square of the difference of a step's two results, in terms of what is tolerated.
fn error(low: &Tensor<4>, high: &Tensor<4>, previous: &Tensor<4>) -> f64 {
    let tolerated = low.clone().abs().max_pair(previous.clone().abs()).mul_scalar(RELATIVE).clamp_min(ABSOLUTE);
    let share = (low.clone() - high.clone()) / tolerated;
    let square: f32 = (share.clone() * share).mean().into_scalar();
    f64::from(square).sqrt()
}
