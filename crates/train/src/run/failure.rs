//! How a step can fail, and what is left then.

/// Why a step failed. The weights are those of the step before in any case.
#[derive(Debug)]
pub(super) enum StepFailure {
    /// Before the update: the optimizer stands where the weights stand.
    Computing(anyhow::Error),
    /// In the update: the optimizer has gone on, so that no state is to be saved.
    Updating(anyhow::Error),
}

impl From<anyhow::Error> for StepFailure {
    fn from(error: anyhow::Error) -> Self {
        Self::Computing(error)
    }
}
