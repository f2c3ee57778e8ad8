//! DPM fast: DPM-Solver with a fixed number of calls (Lu et al. 2022, arXiv 2206.00927; k-diffusion's
//! `sample_dpm_fast`). It ends at the smallest noise level, not at 0.

use burn::tensor::Tensor;

use crate::levels::Kind;
use crate::sampler::contract::{Method, Walk};
use crate::sampler::dpm_solver::{Solver, Target};

/// Steps of third order and what is left.
pub(super) struct DpmFast;

impl Method for DpmFast {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let Kind::Sigmas(levels) = walk.run.levels.kind() else { panic!("levels of a k-diffusion sampler") };
        let [start, end] = [levels.solver[1], levels.solver[0]].map(|sigma| -f64::from(sigma).ln());
        let orders = orders(levels.evaluations);
        let eta = walk.eta();
        let s_noise = walk.run.options.s_noise;
        let step = (end - start) / orders.len() as f64;
        for (index, order) in orders.iter().enumerate() {
            let from = start + step * index as f64;
            let to = if index + 1 == orders.len() { end } else { from + step };
            let target = Target::new(from, to, end, eta);
            let solver = Solver::new(x, from, &mut walk)?;
            walk.step_seen(index);
            x = match order {
                1 => solver.first_order(target.time),
                2 => {
                    let seen = solver.on_the_way(target.time, 0.5, &mut walk)?;
                    solver.second_order(target.time, 0.5, &seen)
                }
                _ => {
                    let seen = solver.on_the_way(target.time, 1.0 / 3.0, &mut walk)?;
                    solver.third_order(target.time, &seen, &mut walk)?
                }
            };
            if eta > 0.0 {
                x = x + walk.noise().mul_scalar(s_noise * target.up);
            }
        }
        Ok(x)
    }
}

/// The orders of the steps that make `evaluations` calls together.
pub(super) fn orders(evaluations: usize) -> Vec<usize> {
    let mut orders = vec![3; evaluations / 3];
    match evaluations % 3 {
        0 => {
            orders.pop();
            orders.extend([2, 1]);
        }
        rest => orders.push(rest),
    }
    orders
}
