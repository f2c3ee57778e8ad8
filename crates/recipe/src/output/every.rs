//! How often something happens in a run: snapshots and pictures.

use serde::{Deserialize, Serialize};

/// How often a snapshot is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Every {
    /// `--save_every_n_epochs`
    Epochs(u64),
    /// `--save_every_n_steps`
    Steps(u64),
    /// `--save_n_epoch_ratio`: so many times in the whole run, after whole epochs.
    EpochShare(u64),
}

impl Every {
    /// The distance in epochs, in a run of `epochs`; `None` where steps are counted.
    pub fn in_epochs(self, epochs: u64) -> Option<u64> {
        match self {
            Self::Epochs(every) => Some(every),
            Self::EpochShare(times) => Some((epochs / times).max(1)),
            Self::Steps(_) => None,
        }
    }
}
