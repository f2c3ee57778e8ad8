//! The other processes by MPI.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::{initialize_with_threading, is_initialized};
use mpi::request::scope;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

/// Between two looks at whether all others have come.
const PAUSE: Duration = Duration::from_micros(200);

/// All processes.
pub(super) struct World(SimpleCommunicator);

impl World {
    /// Starts MPI, once in a process: a run of several stages joins again.
    pub fn join() -> Result<Self> {
        if !is_initialized() {
            let (universe, _) = initialize_with_threading(Threading::Serialized).context("MPI does not start")?;
            // `finish` ends it, or nothing: after a failure nobody may be there to part from.
            std::mem::forget(universe);
        }
        Ok(Self(SimpleCommunicator::world()))
    }

    pub fn rank(&self) -> usize {
        self.0.rank() as usize
    }

    pub fn count(&self) -> usize {
        self.0.size() as usize
    }

    pub fn same(&self, mut number: u64) -> u64 {
        self.0.process_at_rank(0).broadcast_into(&mut number);
        number
    }

    /// Replaces `numbers` by the sums over all processes.
    ///
    /// # Errors
    /// When `gone` says so while it waits.
    pub fn add_up(&self, numbers: &mut Vec<f32>, mut gone: impl FnMut() -> bool) -> Result<()> {
        let mut sums = vec![0.0; numbers.len()];
        let world = &self.0;
        let complete = scope(|scope| {
            let sum = SystemOperation::sum();
            let mut request = world.immediate_all_reduce_into(scope, &numbers[..], &mut sums[..], sum);
            loop {
                match request.test() {
                    Ok(_) => return true,
                    Err(waiting) => request = waiting,
                }
                if gone() {
                    // The buffers stay as they are until the process ends, which is next.
                    std::mem::forget(request);
                    return false;
                }
                std::thread::sleep(PAUSE);
            }
        });
        if !complete {
            std::mem::forget((sums, std::mem::take(numbers)));
            bail!("it was asked to stop while it waited for the other processes");
        }
        *numbers = sums;
        Ok(())
    }
}

/// Parts from the other processes, which do the same.
pub(super) fn finish() {
    if is_initialized() {
        // SAFETY: no request is under way, and nobody calls MPI afterwards.
        unsafe { mpi::ffi::MPI_Finalize() };
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} of {}", self.rank(), self.count())
    }
}
