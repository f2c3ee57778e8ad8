//! How a step can fail, and what is left then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};

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

/// Calls `run`; a panic becomes an error, so that what was learned can be saved. What `run` changes is to be thrown away
/// or put back then.
///
/// # Errors
/// Those of `run`, and a panic.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(anyhow!("{}", words(panic.as_ref()))))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("lorabake itself has failed ({}); please report it", text.unwrap_or("it does not say why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
        let number = std::hint::black_box(5);
        let error = caught(|| -> Result<()> { panic!("number {number}") }).unwrap_err();
        assert_eq!(error.to_string(), "lorabake itself has failed (number 5); please report it");
    }
}
