//! SavedForBackward the pool's threads from falling asleep between the operations of a pass.
//!
//! An operation takes a millisecond or less, and between two of them one thread records and looks things up. Waking the
//! others takes as long as a small operation on many machines, the more so on virtual ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread looks for work before it lets others have the processor.
const PATIENCE: Duration = Duration::from_micros(300);
/// For how long it lets others have the processor.
const NAP: Duration = Duration::from_micros(50);

/// Does `work` on a thread of the pool, so that its operations need not be handed over to it, with the others looking for more.
pub fn with_busy_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let first = rayon::current_thread_index();
        let done = &done;
        scope.spawn_broadcast(move |_, context| {
            if Some(context.index()) != first {
                look_for_work(done);
            }
        });
        let _finished = Finished(done);
        work()
    })
}

/// Tells the others when the work is done, or has panicked.
struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn look_for_work(done: &AtomicBool) {
    let mut since = Instant::now();
    while !done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(Yield::Executed) => since = Instant::now(),
            _ if since.elapsed() < PATIENCE => (0..64).for_each(|_| std::hint::spin_loop()),
            _ => std::thread::sleep(NAP),
        }
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_within_work_is_done_and_nobody_waits_afterwards() {
        for _ in 0..50 {
            let sum: u64 = with_busy_pool(|| {
                let inner: u64 = with_busy_pool(|| (0..1000u64).into_par_iter().sum());
                std::thread::sleep(NAP);
                inner + (0..1000u64).into_par_iter().map(|x| x / 2).sum::<u64>()
            });
            assert_eq!(sum, 499_500 + 249_500);
        }
    }

    #[test]
    fn a_panic_ends_it() {
        assert!(std::panic::catch_unwind(|| with_busy_pool(|| panic!("within"))).is_err());
        assert_eq!(with_busy_pool(|| 1), 1);
    }
}
