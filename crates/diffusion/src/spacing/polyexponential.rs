//! "Polyexponential": the logarithms follow a power ρ (k-diffusion's `get_sigmas_polyexponential`).

use crate::noise_table::exp;
use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// With this ρ it is the exponential scheduler.
const RHO: f64 = 1.0;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let rho = inputs.rho.unwrap_or(RHO);
    let bottom = inputs.lowest.ln();
    let height = (inputs.highest.ln() - bottom) as f32;
    let mut sigmas = Vec::with_capacity(inputs.count);
    for ramp in linspace(1.0, 0.0, inputs.count) {
        let ramp = f64::from(ramp).powf(rho) as f32;
        sigmas.push(exp(ramp * height + bottom as f32));
    }
    sigmas
}
