//! The other processes by MPI.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::{initialize_with_threading, is_initialized};
use mpi::request::StaticScope;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

/// Between two looks at whether all others have come.
const PAUSE: Duration = Duration::from_micros(200);

/// All processes.
pub(super) struct World(SimpleCommunicator);

impl World {
    /// Starts MPI, once in a process: a run of several stages joins again.
    ///
    /// # Errors
    /// When MPI does not start.
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

    pub fn broadcast(&self, mut number: u64) -> u64 {
        self.0.process_at_rank(0).broadcast_into(&mut number);
        number
    }

    /// Replaces `numbers` by the sums over all processes.
    ///
    /// # Errors
    /// When `gone` says so while it waits.
    pub fn all_reduce(&self, numbers: &mut Vec<f32>, mut gone: impl FnMut() -> bool) -> Result<()> {
        // Should the others never come, MPI keeps the buffers until the process ends.
        let sums = Box::into_raw(vec![0.0; numbers.len()].into_boxed_slice());
        let own = Box::into_raw(std::mem::take(numbers).into_boxed_slice());
        // SAFETY: both live until they are taken back below, where no request is under way.
        let (read, written) = unsafe { (&*own, &mut *sums) };
        let mut request = self.0.immediate_all_reduce_into(StaticScope, read, written, SystemOperation::sum());
        loop {
            match request.test() {
                Ok(_) => break,
                Err(waiting) => request = waiting,
            }
            if gone() {
                std::mem::forget(request);
                bail!("it was asked to stop while it waited for the other processes");
            }
            std::thread::sleep(PAUSE);
        }
        // SAFETY: made by `into_raw` above, and the request is complete.
        let (sums, _own) = unsafe { (Box::from_raw(sums), Box::from_raw(own)) };
        *numbers = sums.into_vec();
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
