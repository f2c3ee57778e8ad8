//! The whole timesteps of the web UI's DDIM, DDIM CFG++, PLMS and UniPC, rising.

use crate::schedule::TRAIN_STEPS;

/// 1, 1 + q, 1 + 2q and so on, q = 1000 / `count` rounded down: `count` of them, or a few more.
///
/// # Panics
/// If `count` is 0 or more than 1000.
pub(crate) fn timesteps(count: usize) -> Vec<usize> {
    (0..TRAIN_STEPS).step_by(TRAIN_STEPS / count).map(|t| (t + 1).min(TRAIN_STEPS - 1)).collect()
}
