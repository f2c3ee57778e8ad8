//! Panics of our own code as errors, so that a run keeps what it has learned.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use lorabake_ops::LostSource;

/// The result of `work`, or an error where it panics. What `work` changes must still be of use then.
///
/// # Errors
/// Those of `work`; that a file of weights can no longer be read; and that it has failed.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panic = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => return result,
        Err(panic) => panic,
    };
    match panic.downcast_ref::<LostSource>() {
        Some(LostSource(reason)) => Err(anyhow!("{reason}")),
        None => Err(anyhow!("lorabake itself has failed ({}); please report it", words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        let error = caught(|| -> Result<()> { panic!("index {}", 3) }).unwrap_err();
        assert_eq!(error.to_string(), "lorabake itself has failed (index 3); please report it");
        assert_eq!(caught(|| Ok(1)).unwrap(), 1);
    }
}
