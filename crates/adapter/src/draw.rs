//! What chance decides about one adapter in one pass. Drawing it is the caller's: randomness is an input of a step.

use crate::dropout::Masks;

/// What chance decides about one adapter in one pass; by default nothing is left out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AdapterDraw {
    /// First rank of the block that DyLoRA trains.
    pub start: Option<usize>,
    /// Dropout.
    pub masks: Option<Masks>,
}
