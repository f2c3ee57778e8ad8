//! A disk that fails, for tests: a thread asks for failures of its own operations on files. Without that nothing fails.
//!
//! What is asked: everything that [`crate::whole_file`] does to the disk, and whoever calls [`check`] before it does
//! something itself.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;

thread_local! {
    /// How many operations this thread has begun.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
    /// Which of them fail.
    static FAILING: RefCell<Range<u64>> = const { RefCell::new(0..0) };
}

/// Calls `run`; of the disk operations of this thread meanwhile, counted from 0, those in `failing` fail. Returns how many
/// there were.
pub fn during(failing: Range<u64>, run: impl FnOnce()) -> u64 {
    BEGUN.set(0);
    FAILING.replace(failing);
    run();
    FAILING.replace(0..0);
    BEGUN.get()
}

/// Begins an operation on the disk.
///
/// # Errors
/// When it is one that fails.
pub fn check() -> io::Result<()> {
    let number = BEGUN.get();
    BEGUN.set(number + 1);
    if FAILING.with_borrow(|failing| failing.contains(&number)) {
        return Err(io::Error::new(io::ErrorKind::StorageFull, "no space is left (a test)"));
    }
    Ok(())
}
