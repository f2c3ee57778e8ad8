//! Timesteps at equal distances from 999 to 0, then no noise: k-diffusion's `DiscreteSchedule.get_sigmas` without
//! quantization, as the AUTOMATIC1111 web UI uses it.

use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::step::{Step, StepCount};

/// The steps of this spacing.
pub(super) fn steps(schedule: &Schedule, count: StepCount) -> Vec<Step> {
    let count = count.get();
    let last = (TRAIN_STEPS - 1) as f64;
    let mut levels = Vec::with_capacity(count);
    for index in 0..count {
        let timestep = last - last * index as f64 / (count - 1) as f64;
        levels.push(schedule.level_between(timestep));
    }
    Step::down_to_clean(&levels)
}
