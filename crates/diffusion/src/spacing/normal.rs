//! "Normal": timesteps at equal distances between those of the largest and the smallest level (ComfyUI's `normal`).

use crate::spacing::Inputs;
use crate::spacing::linspace::linspace;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let first = inputs.table.timestep(inputs.highest as f32);
    let last = inputs.table.timestep(inputs.lowest as f32);
    linspace(first, last, inputs.count).into_iter().map(|t| inputs.table.sigma(t)).collect()
}
