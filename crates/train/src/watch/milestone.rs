//! A point of a run at which something may be due.

/// The end of a step or of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Milestone {
    /// After this step; 0 is before the first one.
    Step(u64),
    /// After this epoch, counted from 1.
    Epoch(u64),
}
