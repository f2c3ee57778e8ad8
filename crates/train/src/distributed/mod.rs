//! Several processes that train one LoRA: each computes its share of the batches of a step, and the gradients are summed.
//!
//! All of them begin with the same weights and draw the same random numbers, so after the sum all make the same update, and
//! nothing but gradients and losses is exchanged. The result is that of one process that accumulates as many batches. MPI
//! carries the sums (feature `mpi`); without it, or when nobody has launched several, there is one process.

#[cfg(feature = "mpi")]
mod mpi;

use anyhow::{Result, bail};
use lorabake_device::launched;

use crate::step::Gradients;

/// A process among the others.
#[derive(Debug)]
pub struct ProcessGroup {
    rank: usize,
    count: usize,
    #[cfg(feature = "mpi")]
    world: Option<mpi::World>,
}

/// What a process brings to the sum, and what it gets from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Share {
    /// Of the batches of the step in their order; 0 for those that are not its own.
    pub losses: Vec<f64>,
    /// The sum over its batches.
    pub gradients: Gradients,
    /// Whether its user wants to stop.
    pub stop: bool,
    /// Whether it cannot go on.
    pub failed: bool,
}

impl ProcessGroup {
    /// A process of its own.
    pub fn alone() -> Self {
        Self {
            rank: 0,
            count: 1,
            #[cfg(feature = "mpi")]
            world: None,
        }
    }

    /// Joins the other processes, if the program was launched as one of several.
    ///
    /// # Errors
    /// When it was, and cannot: this build has no MPI, or MPI does not start.
    pub fn join() -> Result<Self> {
        match launched() {
            None => Ok(Self::alone()),
            #[cfg(feature = "mpi")]
            Some(_) => {
                let world = mpi::World::join()?;
                Ok(Self { rank: world.rank(), count: world.count(), world: Some(world) })
            }
            #[cfg(not(feature = "mpi"))]
            Some(_) => {
                bail!("this program was built without MPI; build it with --features mpi to run several processes")
            }
        }
    }

    /// Processes in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this is the one that writes files and talks.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Whether a batch, counted from the first of a step, is this process's.
    pub fn takes(&self, batch: usize) -> bool {
        batch % self.count == self.rank
    }

    /// The number of the first process, for all.
    pub fn broadcast(&self, number: u64) -> u64 {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return world.broadcast(number);
        }
        number
    }

    /// The sum of everybody's shares; `sizes` are those of all trainable tensors, `gone` says that there is no use in
    /// waiting any longer.
    ///
    /// # Errors
    /// When another process has failed, or this one need not wait.
    pub fn sum(&self, share: Share, sizes: &[usize], gone: impl FnMut() -> bool) -> Result<Share> {
        if self.count == 1 {
            return Ok(share);
        }
        let failed = share.failed;
        let mut numbers = pack(&share, sizes);
        self.all_reduce(&mut numbers, gone)?;
        let sum = unpack(&numbers, share.losses.len(), sizes);
        if sum.failed && !failed {
            bail!("another process has failed; it says why");
        }
        Ok(sum)
    }

    #[cfg(feature = "mpi")]
    fn all_reduce(&self, numbers: &mut Vec<f32>, gone: impl FnMut() -> bool) -> Result<()> {
        self.world.as_ref().map_or(Ok(()), |world| world.all_reduce(numbers, gone))
    }

    #[cfg(not(feature = "mpi"))]
    fn all_reduce(&self, _: &mut Vec<f32>, _: impl FnMut() -> bool) -> Result<()> {
        Ok(())
    }
}

/// Parts from the other processes, at the end of a program whose runs all went well.
pub fn finish() {
    #[cfg(feature = "mpi")]
    mpi::finish();
}

/// Flags, losses, which tensors have gradients, and their numbers.
fn pack(share: &Share, sizes: &[usize]) -> Vec<f32> {
    let mut numbers = vec![f32::from(u8::from(share.stop)), f32::from(u8::from(share.failed))];
    numbers.extend(share.losses.iter().map(|loss| *loss as f32));
    let there = |index: usize| share.gradients.get(index).and_then(Option::as_ref);
    numbers.extend((0..sizes.len()).map(|index| f32::from(u8::from(there(index).is_some()))));
    for (index, size) in sizes.iter().enumerate() {
        match there(index) {
            Some(gradient) => numbers.extend(gradient),
            None => numbers.extend(std::iter::repeat_n(0.0, *size)),
        }
    }
    numbers
}

fn unpack(numbers: &[f32], losses: usize, sizes: &[usize]) -> Share {
    let (flags, rest) = numbers.split_at(2);
    let (losses, rest) = rest.split_at(losses);
    let (there, mut rest) = rest.split_at(sizes.len());
    let mut gradients = Vec::with_capacity(sizes.len());
    for (there, size) in there.iter().zip(sizes) {
        let (own, others) = rest.split_at(*size);
        gradients.push((*there > 0.0).then(|| own.to_vec()));
        rest = others;
    }
    let losses = losses.iter().map(|loss| f64::from(*loss)).collect();
    Share { losses, gradients, stop: flags[0] > 0.0, failed: flags[1] > 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_were_packed() {
        let gradients = vec![Some(vec![1.0, -2.0]), None, Some(vec![3.0])];
        let share = Share { losses: vec![0.5, 0.0], gradients, stop: true, failed: false };
        assert_eq!(unpack(&pack(&share, &[2, 4, 1]), 2, &[2, 4, 1]), share);
        let idle = Share { losses: vec![0.0; 2], ..Share::default() };
        let packed = pack(&idle, &[2, 4, 1]);
        assert_eq!(packed.len(), 2 + 2 + 3 + 7);
        assert_eq!(unpack(&packed, 2, &[2, 4, 1]).gradients, vec![None, None, None]);
    }

    #[test]
    fn alone_every_batch_is_ones_own() {
        let ranks = ProcessGroup::alone();
        assert!(ranks.is_first() && (0..5).all(|batch| ranks.takes(batch)));
        let share = Share { losses: vec![1.0], ..Share::default() };
        assert_eq!(ranks.sum(share.clone(), &[], || true).unwrap(), share);
    }
}
