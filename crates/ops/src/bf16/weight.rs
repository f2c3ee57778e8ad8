//! Weights as the kernels in bf16 read them.

use std::ops::Range;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use super::pack::Source;
use crate::conv_shape::{ConvShape, Unpadded};

/// A row-major matrix of bf16 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Weight<'a> {
    pub numbers: &'a [bf16],
    pub rows: usize,
    pub columns: usize,
}

impl<'a> Weight<'a> {
    /// Part of it as bits.
    pub(super) fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Source<'a> {
        let numbers = &self.numbers.reinterpret_cast()[rows.start * self.columns + columns.start..];
        Source { numbers, rows: rows.len(), columns: columns.len(), stride: self.columns }
    }
}

/// A convolution with its weight, [out, in·k·k].
#[derive(Clone, Copy)]
pub(crate) struct ConvWeight<'a> {
    pub shape: ConvShape,
    pub weight: Weight<'a>,
    pub bias: Option<&'a [f32]>,
    pub unpadded: Unpadded,
}

/// The factors' numbers: `down` [rank, in], `up` [out, rank].
pub(crate) struct Factors<'a> {
    pub down: &'a [f32],
    pub up: &'a [f32],
    pub rank: usize,
    pub scale: f32,
}
