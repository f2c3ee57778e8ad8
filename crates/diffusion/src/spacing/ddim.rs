//! "DDIM": levels of the table at whole strides from its second (ComfyUI's `ddim_uniform`); often more than steps.

use crate::spacing::Inputs;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let table = inputs.table.sigmas();
    let stride = (table.len() / inputs.count).max(1);
    let mut sigmas: Vec<f32> = table.iter().skip(1).step_by(stride).copied().collect();
    sigmas.reverse();
    sigmas
}
