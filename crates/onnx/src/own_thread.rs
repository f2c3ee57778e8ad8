//! The thread on which the runtime works: with a stack for graphs of any depth that is read, and without a word where it
//! panics, since what it stumbles over is the file's fault and told as an error.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread::{Builder, current, scope};

/// What our thread is called, and how those that the runtime starts begin.
const OURS: &str = "onnx";
const RUNTIMES: &str = "rten-";
/// In bytes. The runtime goes from node to node by calls within calls; only what is used of it takes memory.
const STACK: usize = 256 << 20;

/// The runtime gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GaveUp;

/// What `work` returns, done on a thread of its own.
///
/// # Errors
/// When it panics, which nobody sees otherwise.
pub(crate) fn on_own_thread<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, GaveUp> {
    silence_panics();
    scope(|scope| {
        let caught = move || catch_unwind(AssertUnwindSafe(work));
        match Builder::new().name(OURS.to_owned()).stack_size(STACK).spawn_scoped(scope, caught) {
            Ok(thread) => thread.join().and_then(|result| result).map_err(|_| GaveUp),
            Err(_) => Err(GaveUp),
        }
    })
}

/// From now on panics of these threads are not told; those of others are, as before.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = take_hook();
        set_hook(Box::new(move |panic| {
            let is_ours = current().name().is_some_and(|name| name == OURS || name.starts_with(RUNTIMES));
            if !is_ours {
                told(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As deep as calls of the planner in a graph of many nodes.
    fn deep(levels: usize) -> usize {
        let room = std::hint::black_box([levels; 32]);
        if levels == 0 { room[0] } else { 1 + deep(room[31] - 1) }
    }

    #[test]
    fn there_is_room_and_a_panic_is_an_error() {
        assert_eq!(on_own_thread(|| deep(200_000)), Ok(200_000));
        assert_eq!(
            on_own_thread(|| if deep(3) == 3 {
                panic!("this is not seen")
            }),
            Err(GaveUp)
        );
    }
}
