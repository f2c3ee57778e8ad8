//! What a run leaves on disk: LoRA files, states to continue from; and which of them stay.

pub(crate) mod claim;
pub(crate) mod earlier;
pub(crate) mod leftovers;
pub(crate) mod names;
pub(crate) mod prune;
mod run_lock;
pub(crate) mod save;
pub mod state;
mod state_check;
mod state_sums;
