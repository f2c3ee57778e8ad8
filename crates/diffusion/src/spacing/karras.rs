//! "Karras": equal distances of the ρ-th roots (Karras et al. 2022, arXiv 2206.00364, equation 5).

use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// The ρ of the paper.
pub(super) const RHO: f64 = 7.0;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    between(inputs.highest, inputs.lowest, inputs.count, inputs.rho.unwrap_or(RHO))
}

/// `count` levels from `highest` to `lowest`.
pub(crate) fn between(highest: f64, lowest: f64, count: usize, rho: f64) -> Vec<f32> {
    let top = highest.powf(1.0 / rho);
    let bottom = lowest.powf(1.0 / rho);
    let mut sigmas = Vec::with_capacity(count);
    for share in linspace(0.0, 1.0, count) {
        let root = top as f32 + share * (bottom - top) as f32;
        sigmas.push(f64::from(root).powf(rho) as f32);
    }
    sigmas
}
