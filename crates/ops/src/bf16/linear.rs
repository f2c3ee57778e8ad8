//! y = x·Wᵀ + b and dx = dy·W for one copy of W, row-major [out, in] as in checkpoints.

use half::bf16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::pack::{Source, interleave, round_rows, transpose};
use super::scratch::{with_halves, with_words};
use super::tile::{Broadcast, COLUMNS, Extents, Lanes, ROWS, Start, Target, multiply};
use crate::shared_output::{SharedOutput, filled};

/// Numbers along the sum that are worked on together: with 64 columns, a quarter of a megabyte of the cache near the core.
const DEPTH: usize = 2048;
/// Rows of x of one task at most, as far as that keeps the threads busy.
const TALL: usize = 1026;

/// A row-major matrix of bf16 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Weight<'a> {
    pub numbers: &'a [bf16],
    pub rows: usize,
    pub columns: usize,
}

impl<'a> Weight<'a> {
    /// Part of it as bits.
    pub(super) fn part(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Source<'a> {
        let numbers = &self.numbers.reinterpret_cast()[rows.start * self.columns + columns.start..];
        Source { numbers, rows: rows.len(), columns: columns.len(), stride: self.columns }
    }
}

/// x·Wᵀ + b for x [M, in], row-major.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn forward(x: &[f32], weight: Weight<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    product(x, weight.columns, weight.rows, bias, &|lanes, depth, panel| {
        // SAFETY: `product` has asserted the instructions.
        unsafe { transpose(weight.part(lanes, depth), panel, COLUMNS) }
    })
}

/// dy·W for dy [M, out].
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn backward(dy: &[f32], weight: Weight<'_>) -> Vec<f32> {
    product(dy, weight.rows, weight.columns, None, &|lanes, depth, panel| {
        // SAFETY: `product` has asserted the instructions.
        unsafe { interleave(weight.part(depth, lanes), panel, COLUMNS) }
    })
}

type Pack<'a> = &'a (dyn Fn(std::ops::Range<usize>, std::ops::Range<usize>, &mut [u32]) + Sync);

/// x·B + b for x [M, k] and B [k, n], of which `pack` brings some lanes and some depth into a panel.
fn product(x: &[f32], k: usize, n: usize, bias: Option<&[f32]>, pack: Pack<'_>) -> Vec<f32> {
    assert!(super::available());
    let (m, stride) = (x.len() / k, k.next_multiple_of(2));
    with_halves(m * stride, |rounded| {
        let slice = (m.div_ceil(4 * rayon::current_num_threads())).max(1);
        rounded.par_chunks_mut(slice * stride).zip(x.par_chunks(slice * k)).for_each(|(out, x)| {
            // SAFETY: asserted above.
            unsafe { round_rows(x, k, out, stride) }
        });
        let words: &[u32] = bytemuck::cast_slice(rounded);
        let panels = n.div_ceil(COLUMNS);
        let chunks = (8 * rayon::current_num_threads()).div_ceil(panels).max(m.div_ceil(TALL));
        let tall = m.div_ceil(chunks).next_multiple_of(ROWS).max(16 * ROWS).min(m.max(1));
        let chunks = m.div_ceil(tall);
        let tasks = |y: &SharedOutput<'_>| {
            (0..chunks * panels).into_par_iter().for_each(|task| {
                let (row, column) = (task / panels * tall, task % panels * COLUMNS);
                let (rows, columns) = (tall.min(m - row), COLUMNS.min(n - column));
                let target = Target { output: y, start: row * n + column, row_stride: n };
                let mut start = bias.map_or(Start::Zero, |bias| Start::Columns(&bias[column..]));
                with_words(DEPTH.min(stride) / 2 * COLUMNS, |panel| {
                    for first in (0..k).step_by(DEPTH) {
                        let depth = first..(first + DEPTH).min(k);
                        let e = Extents { rows, columns, pairs: depth.len().div_ceil(2) };
                        pack(column..column + columns, depth, panel);
                        let a = Broadcast::rows(&words[(row * stride + first) / 2..], stride / 2);
                        // SAFETY: asserted above; each task writes its own rows and columns.
                        unsafe { multiply(e, a, Lanes { words: panel, width: COLUMNS }, target, start) };
                        start = Start::Output;
                    }
                });
            });
        };
        // SAFETY: the tasks cover all rows and columns.
        unsafe { filled(m * n, tasks) }
    })
}
