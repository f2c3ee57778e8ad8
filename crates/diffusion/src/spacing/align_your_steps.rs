//! "Align Your Steps": levels that NVIDIA found by optimization (Sabour et al. 2024, arXiv 2404.14507), logarithms
//! interpolated where there are not eleven.

use crate::spacing::Inputs;

const SD1: [f64; 11] = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];
const SDXL: [f64; 11] = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029];

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let known = if inputs.table.is_xl() { SDXL } else { SD1 };
    let count = inputs.count;
    if count == known.len() {
        return known.map(|sigma| sigma as f32).to_vec();
    }
    let mut sigmas = Vec::with_capacity(count);
    // From the smallest up; a single level is the smallest.
    for index in (0..count).rev() {
        let from_bottom = count - 1 - index;
        let place = if count == 1 { 0.0 } else { from_bottom as f64 / (count - 1) as f64 * (known.len() - 1) as f64 };
        let low = (place.floor() as usize).min(known.len() - 2);
        let weight = place - low as f64;
        let below = known[known.len() - 1 - low].ln();
        let above = known[known.len() - 2 - low].ln();
        sigmas.push((below + weight * (above - below)).exp() as f32);
    }
    sigmas.reverse();
    sigmas
}
