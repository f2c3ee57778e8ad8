//! How the timesteps of a batch are drawn: each sample its own, all timesteps equally likely, as in sd-scripts.

use std::ops::Range;

use rand::Rng;

/// One timestep in `range` for each of `batch` samples; all of them are its start if the range is empty.
pub fn draw_timesteps(rng: &mut impl Rng, batch: usize, range: Range<usize>) -> Vec<usize> {
    if range.is_empty() {
        return vec![range.start; batch];
    }
    (0..batch).map(|_| rng.random_range(range.clone())).collect()
}
