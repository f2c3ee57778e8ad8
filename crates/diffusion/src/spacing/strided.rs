//! Whole timesteps at equal strides, as diffusers' `DDIMScheduler` has them with Stable Diffusion 1.5's configuration.
//!
//! That is "leading" spacing, `steps_offset` 1 and `set_alpha_to_one` false. With zero terminal SNR the spacing is
//! "trailing", so that the first step is at the last timestep (Lin et al. 2023, arXiv 2305.08891, section 3.3).

use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::step::{Step, StepCount};

/// The steps of this spacing. Each goes down by one stride; the last ends at timestep 0, which has a little noise still.
pub(crate) fn steps(schedule: &Schedule, count: StepCount) -> Vec<Step> {
    let count = count.get();
    let stride = TRAIN_STEPS / count;
    let mut steps = Vec::with_capacity(count);
    for index in 0..count {
        let timestep = if schedule.ends_in_noise() { trailing(index, count) } else { (count - 1 - index) * stride + 1 };
        // Trailing timesteps are rounded and strides are not, so that a step may end beside the start of the next one.
        let to = schedule.level(timestep.saturating_sub(stride));
        steps.push(Step { from: schedule.level(timestep), to });
    }
    steps
}

/// The timestep of step `index` of `count`, counted from the last timestep.
fn trailing(index: usize, count: usize) -> usize {
    let above_zero = TRAIN_STEPS as f64 - index as f64 * TRAIN_STEPS as f64 / count as f64;
    above_zero.round_ties_even() as usize - 1
}
