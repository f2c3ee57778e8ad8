//! y = x·Wᵀ + b and dx = dy·W for one copy of W, row-major [out, in] as in checkpoints; with a product of low rank beside
//! it if there is one.

use std::ops::Range;

use half::bf16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::pack::{Source, interleave, round_rows, transpose};
use super::scratch::{with_halves, with_words};
use super::tile::{Ahead, Broadcast, COLUMNS, Extents, LANES, Lanes, ROWS, Start, multiply, multiply_before};
use super::weight::{Factors, Weight};
use crate::rounding::narrowed;
use crate::shared_output::{SharedOutput, Target, filled};

/// Numbers along the sum that are worked on together: with 64 columns, a quarter of a megabyte of the cache near the core.
const DEPTH: usize = 2048;
/// Rows of x of one task at most, as far as that keeps the threads busy.
const TALL: usize = 1026;

/// Fewer numbers are not worth a second thread's while to round.
const FEWEST: usize = 1 << 13;

/// A matrix, or its transpose, as the right-hand side of a product.
#[derive(Clone, Copy)]
struct Factor<'a> {
    weight: Weight<'a>,
    turned: bool,
}

impl<'a> Factor<'a> {
    /// The transpose of a matrix.
    fn turned(weight: Weight<'a>) -> Self {
        Self { weight, turned: true }
    }

    /// The matrix itself.
    fn straight(weight: Weight<'a>) -> Self {
        Self { weight, turned: false }
    }

    /// Brings some lanes and some depth into a panel.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn pack(&self, lanes: Range<usize>, depth: Range<usize>, panel: &mut [u32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.turned {
                true => transpose(self.weight.part(lanes, depth), panel, COLUMNS),
                false => interleave(self.weight.part(depth, lanes), panel, COLUMNS),
            }
        }
    }

    /// What [`pack`](Self::pack) reads from this lane and this depth on.
    fn ahead(&self, lane: usize, depth: usize) -> Ahead {
        let (numbers, stride) = (self.weight.numbers.as_ptr().cast::<u16>(), self.weight.columns);
        match self.turned {
            true => Ahead::Rows { first: numbers.wrapping_add(lane * stride + depth), stride },
            false => Ahead::Columns { first: numbers.wrapping_add(depth * stride + lane), stride, lines: 2 },
        }
    }
}

/// x·Wᵀ + b for x [M, in], row-major.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn forward(x: &[f32], weight: Weight<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    with_rows(x, weight.columns, |x| {
        sum_of_products(weight.rows, bias, &[Term { rows: x, factor: Factor::turned(weight) }])
    })
}

/// dy·W for dy [M, out].
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn backward(dy: &[f32], weight: Weight<'_>) -> Vec<f32> {
    let factor = Factor::straight(weight);
    with_rows(dy, weight.rows, |dy| sum_of_products(weight.columns, None, &[Term { rows: dy, factor }]))
}

/// The factors of a product of low rank, rounded: `down` [rank, in], `up` [out, rank] times its scale.
struct Rounded {
    down: Vec<bf16>,
    up: Vec<bf16>,
    rank: usize,
}

impl Rounded {
    fn new(factors: &Factors<'_>) -> Self {
        let scaled: Vec<f32> = factors.up.iter().map(|up| up * factors.scale).collect();
        Self { down: narrowed(factors.down), up: narrowed(&scaled), rank: factors.rank }
    }

    fn down(&self) -> Weight<'_> {
        Weight { numbers: &self.down, rows: self.rank, columns: self.down.len() / self.rank }
    }

    fn up(&self) -> Weight<'_> {
        Weight { numbers: &self.up, rows: self.up.len() / self.rank, columns: self.rank }
    }
}

/// What a product of low rank gives.
pub(crate) struct Forward {
    /// The layer's and the product's output, [M, out].
    pub y: Vec<f32>,
    /// x·downᵀ, [M, rank].
    pub inner: Vec<f32>,
    /// x, rounded, in rows of an even length.
    pub x: Vec<bf16>,
}

/// x·Wᵀ + b + scale · (x·downᵀ)·upᵀ.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn forward_low_rank(x: &[f32], weight: Weight<'_>, bias: Option<&[f32]>, factors: &Factors<'_>) -> Forward {
    assert!(super::available());
    let rounded = Rounded::new(factors);
    let down = Factor::turned(rounded.down());
    let up = Factor::turned(rounded.up());
    let k = weight.columns;
    let mut halves = vec![bf16::ZERO; x.len() / k * k.next_multiple_of(2)];
    round_all(x, k, halves.reinterpret_cast_mut());
    let x = Rows::of(&halves, k);
    let inner = sum_of_products(factors.rank, None, &[Term { rows: x, factor: down }]);
    let y = with_rows(&inner, factors.rank, |inner| {
        let terms = [Term { rows: x, factor: Factor::turned(weight) }, Term { rows: inner, factor: up }];
        sum_of_products(weight.rows, bias, &terms)
    });
    Forward { y, inner, x: halves }
}

/// What the backward pass of a product of low rank reads of its [`Forward`].
#[derive(Clone, Copy)]
pub(crate) struct KeptForward<'a> {
    /// x, rounded, in rows of an even length.
    pub x: &'a [bf16],
    /// x·downᵀ, [M, rank].
    pub inner: &'a [f32],
}

/// Gradients of a layer with a product of low rank.
pub(crate) struct LowRankGradients {
    /// [M, in]; empty if it was not wanted.
    pub dx: Vec<f32>,
    /// [rank, in].
    pub d_down: Vec<f32>,
    /// [out, rank].
    pub d_up: Vec<f32>,
}

/// Gradients of x (if wanted), down and up from that of y.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn backward_low_rank(
    kept: KeptForward<'_>,
    dy: &[f32],
    weight: Weight<'_>,
    factors: &Factors<'_>,
    wants_dx: bool,
) -> LowRankGradients {
    assert!(super::available());
    let rank = factors.rank;
    let rounded = Rounded::new(factors);
    let down = Factor::straight(rounded.down());
    let up = Factor::straight(rounded.up());
    with_rows(dy, weight.rows, |dy| {
        let d_inner = sum_of_products(rank, None, &[Term { rows: dy, factor: up }]);
        let dx = with_rows(&d_inner, rank, |d_inner| {
            let terms = [Term { rows: dy, factor: Factor::straight(weight) }, Term { rows: d_inner, factor: down }];
            if wants_dx { sum_of_products(weight.columns, None, &terms) } else { Vec::new() }
        });
        let d_down = product_over_rows(&d_inner, rank, Rows::of(kept.x, weight.columns), Side::Rows);
        let scaled: Vec<f32> = kept.inner.iter().map(|x| x * factors.scale).collect();
        let d_up = product_over_rows(&scaled, rank, dy, Side::Columns);
        LowRankGradients { dx, d_down, d_up }
    })
}

/// Rounded rows of `k` numbers, `stride` apart.
#[derive(Clone, Copy)]
struct Rows<'a> {
    halves: &'a [u16],
    k: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows of an even length that hold `k` numbers each.
    fn of(halves: &'a [bf16], k: usize) -> Self {
        Self { halves: halves.reinterpret_cast(), k, stride: k.next_multiple_of(2) }
    }

    fn count(&self) -> usize {
        self.halves.len() / self.stride
    }
}

/// Lends the rows of x [M, k], rounded.
fn with_rows<R>(x: &[f32], k: usize, work: impl FnOnce(Rows<'_>) -> R) -> R {
    assert!(super::available());
    let (m, stride) = (x.len() / k, k.next_multiple_of(2));
    with_halves(m * stride, |halves| {
        round_all(x, k, halves);
        work(Rows { halves, k, stride })
    })
}

/// Rounds rows of `k` numbers into rows of an even length.
fn round_all(x: &[f32], k: usize, out: &mut [u16]) {
    let (m, stride) = (x.len() / k, k.next_multiple_of(2));
    let slice = m.div_ceil(4 * rayon::current_num_threads()).max(FEWEST.div_ceil(k));
    out.par_chunks_mut(slice * stride).zip(x.par_chunks(slice * k)).for_each(|(out, x)| {
        // SAFETY: the callers have asserted the instructions.
        unsafe { round_rows(x, k, out, stride) }
    });
}

/// A product of a sum: rows times a matrix.
struct Term<'a> {
    rows: Rows<'a>,
    factor: Factor<'a>,
}

/// b + Σ rows · matrix, [M, n].
fn sum_of_products(n: usize, bias: Option<&[f32]>, terms: &[Term<'_>]) -> Vec<f32> {
    assert!(super::available());
    let m = terms[0].rows.count();
    let panels = n.div_ceil(COLUMNS);
    let chunks = (8 * rayon::current_num_threads()).div_ceil(panels).max(m.div_ceil(TALL));
    let tall = m.div_ceil(chunks).next_multiple_of(ROWS).max(16 * ROWS).min(m.max(1));
    let chunks = m.div_ceil(tall);
    let tasks = |y: &SharedOutput<'_>| {
        (0..chunks * panels).into_par_iter().for_each(|task| {
            let row = task / panels * tall;
            let column = task % panels * COLUMNS;
            let rows = tall.min(m - row);
            let columns = COLUMNS.min(n - column);
            let target = Target { output: y, start: row * n + column, row_stride: n };
            let mut start = bias.map_or(Start::Zero, |bias| Start::Columns(&bias[column..]));
            for Term { rows: Rows { halves, k, stride }, factor } in terms {
                let words: &[u32] = bytemuck::cast_slice(halves);
                with_words(DEPTH.min(*stride) / 2 * COLUMNS, |panel| {
                    for first in (0..*k).step_by(DEPTH) {
                        let depth = first..(first + DEPTH).min(*k);
                        let e = Extents { rows, columns, pairs: depth.len().div_ceil(2) };
                        let next = if first + DEPTH < *k { (column, first + DEPTH) } else { (column + COLUMNS, 0) };
                        let ahead = (next.0 < n).then(|| factor.ahead(next.0, next.1));
                        let a = Broadcast::rows(&words[(row * stride + first) / 2..], stride / 2);
                        // SAFETY: asserted above; each task writes its own rows and columns.
                        unsafe {
                            factor.pack(column..column + columns, depth, panel);
                            multiply_before(e, a, Lanes { words: panel, width: COLUMNS }, target, start, ahead);
                        }
                        start = Start::Output;
                    }
                });
            }
        });
    };
    // SAFETY: the tasks cover all rows and columns.
    unsafe { filled(m * n, tasks) }
}

/// Where the few numbers of a row stand in a product over rows.
#[derive(Clone, Copy)]
enum Side {
    Rows,
    Columns,
}

/// aᵀ·b, [r, k], for a [M, r] and `b` [M, k]; or bᵀ·a, [k, r], if r is to be the columns.
fn product_over_rows(a: &[f32], r: usize, b: Rows<'_>, side: Side) -> Vec<f32> {
    let (m, n, width) = (b.count(), b.k, r.next_multiple_of(LANES));
    with_words(m.div_ceil(2) * width, |turned| {
        with_rows(a, r, |a| {
            let source = Source { numbers: a.halves, rows: m, columns: r, stride: a.stride };
            // SAFETY: `with_rows` has asserted the instructions.
            unsafe { interleave(source, turned, width) };
        });
        let turned = &*turned;
        let tasks = |out: &SharedOutput<'_>| {
            (0..n.div_ceil(COLUMNS / 2)).into_par_iter().for_each(|panel| {
                let column = panel * COLUMNS / 2;
                let columns = (COLUMNS / 2).min(n - column);
                let mut start = Start::Zero;
                with_words(DEPTH.min(m.next_multiple_of(2)) / 2 * COLUMNS / 2, |panel| {
                    for first in (0..m).step_by(DEPTH) {
                        let depth = DEPTH.min(m - first);
                        let numbers = &b.halves[first * b.stride + column..];
                        let source = Source { numbers, rows: depth, columns, stride: b.stride };
                        // SAFETY: asserted by `with_rows`; each task writes its own columns.
                        unsafe {
                            interleave(source, panel, COLUMNS / 2);
                            let few = Lanes { words: &turned[first / 2 * width..], width };
                            let many = Lanes { words: panel, width: COLUMNS / 2 };
                            let (a, b, rows, columns, place, row_stride) = match side {
                                Side::Rows => (few, many, r, columns, column, n),
                                Side::Columns => (many, few, columns, r, column * r, r),
                            };
                            let e = Extents { rows, columns, pairs: depth.div_ceil(2) };
                            let target = Target { output: out, start: place, row_stride };
                            multiply(e, Broadcast::lanes(a), b, target, start);
                        }
                        start = Start::Output;
                    }
                });
            });
        };
        // SAFETY: the tasks cover all columns of `b`, for all of `a`.
        unsafe { filled(r * n, tasks) }
    })
}
