//! "Uniform": timesteps at equal distances from 999 to 0 (k-diffusion's `DiscreteSchedule.get_sigmas`).

use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let [first, last] = inputs.table.ends();
    linspace(first, last, inputs.count).into_iter().map(|t| inputs.table.sigma(t)).collect()
}
