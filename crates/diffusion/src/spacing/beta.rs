//! "Beta": levels by the quantiles of a beta distribution (Lee et al. 2024, arXiv 2407.12173), linear in σ as in the web
//! UI.

use crate::spacing::Inputs;
use crate::spacing::beta_quantile::beta_quantile;
use crate::spacing::linspace::linspace_f64;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let mut sigmas = Vec::with_capacity(inputs.count);
    for share in linspace_f64(0.0, 1.0, inputs.count) {
        let quantile = beta_quantile(1.0 - share, inputs.beta);
        sigmas.push((inputs.lowest + quantile * (inputs.highest - inputs.lowest)) as f32);
    }
    sigmas
}
