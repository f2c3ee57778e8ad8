//! Learning-rate schedules as pure functions of the step, equal to transformers' `optimization.py` as called by
//! sd-scripts (`get_scheduler_fix`).
//!
//! A schedule moves once per optimizer update, not per batch: accelerate skips the scheduler's step while gradients
//! are being accumulated. So `step` counts finished updates (the first update uses step 0, which with a warmup means a
//! rate of 0), and [`total_steps`] counts updates too.

use std::f64::consts::PI;

use lorabake_recipe::optim::{Schedule, ScheduleKind, Warmup};
use lorabake_recipe::train::Duration;

use crate::Error;

/// Where `polynomial` ends (transformers' default, which sd-scripts does not change).
const POLYNOMIAL_END: f64 = 1e-7;

/// Optimizer updates of the whole run. An epoch's last update may have fewer batches than `accumulation`.
pub fn total_steps(duration: Duration, batches_per_epoch: u64, accumulation: u64) -> u64 {
    match duration {
        Duration::Steps(steps) => steps,
        Duration::Epochs(epochs) => epochs * batches_per_epoch.div_ceil(accumulation),
    }
}

/// Length of the warmup in updates; a ratio is rounded down.
pub fn warmup_steps(warmup: Warmup, total_steps: u64) -> u64 {
    match warmup {
        Warmup::Steps(steps) => steps,
        Warmup::Ratio(ratio) => (ratio * total_steps as f64) as u64,
    }
}

/// Refuses what sd-scripts refuses.
///
/// # Errors
/// `constant` with a warmup; `polynomial` from a `learning_rate` at or below its end.
pub fn check(schedule: &Schedule, learning_rate: f64, total_steps: u64) -> Result<(), Error> {
    match schedule.kind {
        ScheduleKind::Constant if warmup_steps(schedule.warmup, total_steps) != 0 => Err(Error::ConstantWarmup),
        ScheduleKind::Polynomial { .. } if learning_rate <= POLYNOMIAL_END => {
            Err(Error::PolynomialEnd { end: POLYNOMIAL_END, lr: learning_rate })
        }
        _ => Ok(()),
    }
}

/// What every group's base rate is multiplied with in the update after `step` finished ones.
///
/// `learning_rate` is the recipe's general rate (`--learning_rate`), whatever the group: `polynomial` ends at 1e-7 for
/// a group with that very rate, and the others keep their proportion to it. The other schedules ignore it.
pub fn factor(schedule: &Schedule, learning_rate: f64, step: u64, total_steps: u64) -> f64 {
    let warmup = warmup_steps(schedule.warmup, total_steps);
    if matches!(schedule.kind, ScheduleKind::Constant | ScheduleKind::AdaFactor) {
        return 1.0;
    }
    if step < warmup {
        return step as f64 / warmup as f64;
    }
    let decay_steps = total_steps.saturating_sub(warmup).max(1) as f64;
    let progress = (step - warmup) as f64 / decay_steps;
    match schedule.kind {
        ScheduleKind::Constant | ScheduleKind::ConstantWithWarmup | ScheduleKind::AdaFactor => 1.0,
        ScheduleKind::Linear => total_steps.saturating_sub(step) as f64 / decay_steps,
        ScheduleKind::Cosine => half_cosine(progress),
        ScheduleKind::CosineWithRestarts { .. } if progress >= 1.0 => 0.0,
        ScheduleKind::CosineWithRestarts { cycles } => half_cosine((f64::from(cycles) * progress) % 1.0),
        ScheduleKind::Polynomial { .. } if step > total_steps => POLYNOMIAL_END / learning_rate,
        ScheduleKind::Polynomial { power } => {
            let range = learning_rate - POLYNOMIAL_END;
            (range * (1.0 - progress).powf(power) + POLYNOMIAL_END) / learning_rate
        }
    }
}

/// [`factor`] at `points` updates from the first to the last, for a picture of the schedule; every update if there are
/// fewer.
pub fn curve(schedule: &Schedule, learning_rate: f64, total_steps: u64, points: usize) -> Vec<f64> {
    let last = total_steps.saturating_sub(1);
    let points = (points as u64).clamp(1, last + 1);
    let mut factors = Vec::new();
    for point in 0..points {
        let step = (last * point).checked_div(points - 1).unwrap_or(0);
        factors.push(factor(schedule, learning_rate, step, total_steps));
    }
    factors
}

/// 1 at 0, 0 at 1.
fn half_cosine(progress: f64) -> f64 {
    (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
}
