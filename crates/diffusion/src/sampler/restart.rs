//! Restart: Heun's method that goes back up to a higher noise level and down again (Xu et al. 2023, arXiv 2306.14878),
//! with the web UI's numbers of steps.

use burn::tensor::Tensor;

use crate::sampler::contract::{Method, Walk};
use crate::sampler::heun::heun_step;
use crate::spacing::karras;

/// From this many steps on there is a restart.
const ONE_RESTART: usize = 20;
/// From this many steps on there are two.
const TWO_RESTARTS: usize = 36;
/// Steps that a single restart takes from the way down.
const RESTART_STEPS: usize = 9;
/// The level near which a restart begins.
const BOTTOM: f32 = 0.1;
/// The level near which it leads.
const TOP: f32 = 2.0;
/// The ρ of Karras' levels.
const RHO: f64 = 7.0;

/// Heun's method with restarts.
pub(super) struct Restart;

impl Method for Restart {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let mut level = None;
        for (index, step) in steps(&walk.sigmas()).into_iter().enumerate() {
            let [from, to] = step.map(f64::from);
            if let Some(reached) = level
                && reached < from
            {
                let reached: f64 = reached;
                x = x + walk.noise().mul_scalar((from * from - reached * reached).sqrt());
            }
            x = heun_step(x, &mut walk, index, [from, to])?;
            level = Some(to);
        }
        Ok(x)
    }
}

/// The steps of a run over `sigmas`, each from one level to another.
pub(super) fn steps(sigmas: &[f32]) -> Vec<[f32; 2]> {
    let count = sigmas.len() - 1;
    if count < ONE_RESTART {
        return sigmas.windows(2).map(|pair| [pair[0], pair[1]]).collect();
    }
    let times = if count < TWO_RESTARTS { 1 } else { 2 };
    let spent = if count < TWO_RESTARTS { RESTART_STEPS } else { count / 4 };
    let lowest = f64::from(sigmas[count - 1]);
    let mut way = karras::between(sigmas[0].into(), lowest, count - spent * times, RHO);
    way.push(0.0);
    let bottom = nearest(&way, BOTTOM);
    let top = nearest(&way, TOP);
    let mut steps = Vec::new();
    for index in 0..way.len() - 1 {
        steps.push([way[index], way[index + 1]]);
        if index + 1 == bottom && top < bottom {
            let again = karras::between(way[top].into(), way[bottom].into(), spent + 1, RHO);
            for _ in 0..times {
                steps.extend(again.windows(2).map(|pair| [pair[0], pair[1]]));
            }
        }
    }
    steps
}

/// The index of the level nearest to `level`.
fn nearest(levels: &[f32], level: f32) -> usize {
    let mut best = 0;
    for (index, one) in levels.iter().enumerate() {
        if (one - level).abs() < (levels[best] - level).abs() {
            best = index;
        }
    }
    best
}
