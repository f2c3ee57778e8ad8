//! A GPU's driver that panics is an error of that device, and no end of the program.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

/// The result of `work`, or what it says where a driver makes it panic.
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let first = text.as_deref().and_then(|text| text.lines().next()).unwrap_or("no reason given");
        format!("its driver fails ({first})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_panics_is_an_error() {
        let error = guarded(|| -> () { panic!("no adapter\nin the machine") }).unwrap_err();
        assert_eq!(error, "its driver fails (no adapter)");
    }
}
