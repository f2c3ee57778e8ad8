//! Products of bf16 numbers with f32 sums, by the processor's AVX-512 BF16 instructions.
//!
//! A number of a product is rounded to bf16 once, each pair of products is added in f32. Both operands are kept as words of
//! two neighbours along the summed dimension, which is what `vdpbf16ps` multiplies. One operand's words are broadcast, the
//! other's fill the lanes of a vector; the result is row-major f32. No weight has a second copy: a block of it is brought
//! into the order of lanes when it is needed, which costs a few per cent of the products that it then takes part in.
//!
//! Processors without these instructions compute in f32 (`crate::product`).

mod attention;
mod conv;
mod linear;
mod pack;
mod scratch;
mod softmax;
mod tile;
mod weight;
mod winograd;

use half::bf16;
use half::slice::HalfFloatSliceExt;

pub(crate) use attention::{attend, attend_backward};
pub(crate) use conv::{backward as conv_backward, forward as conv_forward};
pub(crate) use linear::{
    Forward, KeptForward, LowRankGradients, backward as linear_backward, backward_low_rank, forward as linear_forward,
    forward_low_rank,
};
pub(crate) use weight::{ConvWeight, Factors, Weight};

/// Rounds to nearest even.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn round(numbers: &[f32], halves: &mut [bf16]) {
    assert!(available());
    // SAFETY: asserted.
    unsafe { pack::round(numbers, halves.reinterpret_cast_mut()) }
}

/// Whether this processor has the instructions.
pub(crate) fn available() -> bool {
    tile::available()
}
