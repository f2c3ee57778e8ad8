//! Attention in tiles with bf16 operands; scores, weights' sums and gradients are f32.

mod backward;
mod forward;

use super::pack::round;
use crate::heads::Rows;

pub(crate) use backward::attend_backward;
pub(crate) use forward::attend;

/// Rounds the rows of a head into rows of `stride`, with zeros after each.
///
/// # Safety
/// The processor has the instructions.
unsafe fn round_rows(rows: Rows<'_>, out: &mut [u16], stride: usize) {
    for (row, out) in rows.iter().zip(out.chunks_exact_mut(stride)) {
        let (out, rest) = out.split_at_mut(rows.d);
        // SAFETY: the caller's promise.
        unsafe { round(row, out) };
        rest.fill(0);
    }
}
