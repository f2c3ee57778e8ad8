//! What a run leaves on disk: LoRA files, states to continue from; and which of them stay.

pub(crate) mod prune;
pub(crate) mod save;
pub mod state;
