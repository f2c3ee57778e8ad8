//! "Exponential": equal distances of the logarithms (k-diffusion's `get_sigmas_exponential`).

use crate::noise_table::exp;
use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let logs = linspace(inputs.highest.ln() as f32, inputs.lowest.ln() as f32, inputs.count);
    logs.into_iter().map(exp).collect()
}
