//! How the timesteps of a batch are drawn: each sample its own, all timesteps equally likely, as in sd-scripts.

use rand::Rng;

use crate::schedule::TRAIN_STEPS;

/// One timestep in 0..1000 for each of `batch` samples.
pub fn draw_timesteps(rng: &mut impl Rng, batch: usize) -> Vec<usize> {
    (0..batch).map(|_| rng.random_range(0..TRAIN_STEPS)).collect()
}
