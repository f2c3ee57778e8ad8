//! "Simple": levels of the table at equal strides from its end (ComfyUI's `simple`).

use crate::spacing::Inputs;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let table = inputs.table.sigmas();
    let stride = table.len() as f64 / inputs.count as f64;
    (0..inputs.count).map(|index| table[table.len() - 1 - (index as f64 * stride) as usize]).collect()
}
