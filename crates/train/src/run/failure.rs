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

/// An error with its causes; a cause that the text before already tells is not repeated.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
