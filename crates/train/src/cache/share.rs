//! A part of a batch, of values that belong to its samples one after another.

use std::ops::Range;

/// The `values` of the samples in `range`, of a batch of `batch`; nothing if there are no values at all.
pub(crate) fn share<'v, T>(values: &'v [T], range: &Range<usize>, batch: usize) -> &'v [T] {
    let each = values.len() / batch;
    &values[range.start * each..range.end * each]
}
