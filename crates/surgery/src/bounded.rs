//! Work on many tensors by all processors, of which only so many numbers are in memory at a time.
//!
//! Reading is parallel in itself: a thread that waits there begins the next piece of work, and so on, so that without a bound
//! all tensors of a model may be in memory at once.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::writer::Watch;

/// Numbers of weights that are in the works at a time.
const AT_A_TIME: usize = 24 << 20;

/// Does `work` for each place; `sizes` tells how many numbers each has. `watch` is told how many are done.
///
/// # Errors
/// Those of `work`; when the user ends it.
pub(crate) fn each<T: Send>(
    sizes: &[usize],
    watch: Watch<'_>,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let total: usize = sizes.iter().sum();
    let mut done = 0;
    let mut all = Vec::with_capacity(sizes.len());
    for batch in batches(sizes) {
        if !watch(done as u64, total as u64) {
            return Err(Error::Stopped);
        }
        let made: Result<Vec<T>> = batch.clone().into_par_iter().map(&work).collect();
        all.extend(made?);
        done += sizes[batch].iter().sum::<usize>();
    }
    Ok(all)
}

/// Places that are worked on together, as ranges.
fn batches(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut sum = 0;
    for (index, size) in sizes.iter().enumerate() {
        if index > start && sum + size > AT_A_TIME {
            batches.push(start..index);
            start = index;
            sum = 0;
        }
        sum += size;
    }
    if start < sizes.len() {
        batches.push(start..sizes.len());
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_leave_nothing_out() {
        let sizes = [AT_A_TIME + 1, 5, AT_A_TIME - 5, 1, 0, AT_A_TIME];
        assert_eq!(batches(&sizes), [0..1, 1..3, 3..5, 5..6]);
        assert!(batches(&[]).is_empty());
        let squares = each(&sizes, &|_, total| total > 0, |place| Ok(place * place)).unwrap();
        assert_eq!(squares, [0, 1, 4, 9, 16, 25]);
        assert!(matches!(each(&sizes, &|done, _| done == 0, Ok), Err(Error::Stopped)));
    }
}
