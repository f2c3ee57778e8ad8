//! "SGM Uniform": timesteps at equal distances, without the last (Stability AI's `generative-models`).

use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let first = inputs.table.timestep(inputs.highest as f32);
    let last = inputs.table.timestep(inputs.lowest as f32);
    let mut timesteps = linspace(first, last, inputs.count + 1);
    timesteps.pop();
    timesteps.into_iter().map(|t| inputs.table.sigma(t)).collect()
}
