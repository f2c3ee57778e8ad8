//! "KL Optimal": equal distances of the arc tangents (Sabour et al. 2024, arXiv 2404.14507, equation 2).
//!
//! One level more than steps, of which the last is the smallest and not 0: pictures keep that noise, as in the web UI.

use crate::spacing::Inputs;

/// The levels of this scheduler.
pub(super) fn sigmas(inputs: &Inputs<'_>) -> Vec<f32> {
    let lowest = arc_tangent(inputs.lowest as f32);
    let highest = arc_tangent(inputs.highest as f32);
    let mut sigmas = Vec::with_capacity(inputs.count + 1);
    for index in 0..=inputs.count {
        let share = index as f32 / inputs.count as f32;
        let angle = share * lowest + (1.0 - share) * highest;
        sigmas.push(f64::from(angle).tan() as f32);
    }
    sigmas
}

fn arc_tangent(value: f32) -> f32 {
    f64::from(value).atan() as f32
}
