//! Which images are not trained on, so that the loss over them can be measured.

/// Which of a folder's training images are held out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HoldOut {
    /// Share of the images of each folder; 0 = none (`--validation_split`).
    pub share: f64,
    /// What they are shuffled with before (`--validation_seed`); `None` = `run_seed`.
    pub seed: Option<u32>,
    /// The seed of the run, or of the first of its stages: an image that one of them learns from is held out by none.
    pub run_seed: u64,
}

impl HoldOut {
    /// What the images are shuffled with, and what noise and latents of the validation come from.
    pub fn seed(&self) -> u64 {
        self.seed.map_or(self.run_seed, u64::from)
    }
}
