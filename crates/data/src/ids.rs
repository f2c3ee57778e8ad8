//! What identifies one use of an image, and one batch. Random streams are named by them, so that each can be drawn
//! again without what was drawn before.

/// One use of an image within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseId {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Running number of the use within its epoch, from 0.
    pub position: u64,
}

/// One batch within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchId {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Running number of the batch within its epoch, from 0.
    pub batch: u64,
}
