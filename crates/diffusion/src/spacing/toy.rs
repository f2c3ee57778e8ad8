//! A spacing of the tests, which shows what adding one takes: this file and its row in `spacing/mod.rs`.
//!
//! Noise levels whose logarithms are at equal distances (k-diffusion's `get_sigmas_exponential`), then no noise.

use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::step::{Step, StepCount};

/// The steps of this spacing.
pub(super) fn steps(schedule: &Schedule, count: StepCount) -> Vec<Step> {
    let highest = schedule.level(TRAIN_STEPS - 1).sigma();
    let lowest = schedule.level(0).sigma();
    let mut levels = Vec::new();
    for index in 0..count.get() {
        let share = index as f64 / (count.get() - 1) as f64;
        levels.push(schedule.level_at_sigma(highest * (lowest / highest).powf(share)));
    }
    Step::down_to_clean(&levels)
}

mod tests {
    use crate::schedule::Schedule;
    use crate::spacing::Spacing;
    use crate::step::{NoiseLevel, StepCount};

    #[test]
    fn a_spacing_of_one_file_and_one_row_leads_from_pure_noise_to_none() {
        let schedule = Schedule::stable_diffusion();
        let steps = Spacing::Toy.steps(&schedule, StepCount::try_from(3).expect("in range"));
        assert_eq!(steps.len(), 3);
        assert!((steps[0].from.timestep - 999.0).abs() < 1e-6);
        assert!(steps[1].from.timestep > 100.0 && steps[1].from.timestep < 900.0);
        assert_eq!((steps[0].to, steps[2].to), (steps[1].from, NoiseLevel::CLEAN));
    }
}
