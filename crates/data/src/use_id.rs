//! What identifies one use of an image. Random streams are named by it, so that each use can be drawn again without what
//! was drawn before.

/// One use of an image within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseId {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Running number of the use within its epoch, from 0.
    pub position: u64,
}
