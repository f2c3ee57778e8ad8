//! Attention in tiles with bf16 operands; scores, weights' sums and gradients are f32.
//!
//! Forward, a block of queries has its scores in rows, as in `crate::attention`. Backward, scores are kept turned, keys by
//! queries: then the weights are at once the rows that the gradients of k and v need, and, as lanes, what that of q needs.

use rayon::prelude::*;

use super::pack::{Source, interleave, round, transpose};
use super::scratch::{with_floats, with_halves, with_words};
use super::softmax::{self, differentiate, weigh};
use super::tile::{Broadcast, COLUMNS, Extents, LANES, Lanes, Start, Target, multiply};
use crate::attention::{Head, Kept, Mask};
use crate::heads::{Heads, Rows, SharedHeads};
use crate::lanes::{sum_of_two, vectorized};
use crate::rounding::nearest_half;
use crate::shared_output::SharedOutput;

/// Queries of one task, forward.
const QUERIES: usize = 96;
/// Keys of one step, forward and backward.
const KEYS: usize = 512;
const KEYS_BACKWARD: usize = 256;

/// Words of one head's keys and values in lanes.
fn lane_words(head: Head) -> (usize, usize) {
    (head.t.div_ceil(COLUMNS) * COLUMNS * head.d.div_ceil(2), head.t.div_ceil(2) * head.d.next_multiple_of(LANES))
}

/// Writes all rows of the output, and the log-sums [heads, S].
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn attend(
    head: Head,
    heads: usize,
    [q, k, v]: [&Heads; 3],
    output: &SharedHeads<'_>,
    sums: &SharedOutput<'_>,
) {
    assert!(super::available());
    let (key_words, value_words) = lane_words(head);
    with_words(heads * (key_words + value_words), |words| {
        words.par_chunks_mut(key_words + value_words).enumerate().for_each(|(h, words)| {
            let (keys, values) = words.split_at_mut(key_words);
            keys_and_values(head, k.head(h), v.head(h), keys, values);
        });
        let words = &*words;
        let blocks = head.s.div_ceil(QUERIES);
        (0..heads * blocks).into_par_iter().for_each(|index| {
            let (h, q0) = (index / blocks, index % blocks * QUERIES);
            let queries = QUERIES.min(head.s - q0);
            let lanes = words[h * (key_words + value_words)..][..key_words + value_words].split_at(key_words);
            let q = q.head(h).part(q0, queries);
            with_floats(queries * head.d, |rows| {
                // SAFETY: each task writes its own rows.
                unsafe {
                    attend_block(head, q, lanes, q0, (rows, sums.part(h * head.s + q0, queries)));
                    output.write(h, q0, rows);
                }
            });
        });
    });
}

/// Keys turned, in panels of 64; values by pairs of keys.
fn keys_and_values(head: Head, k: Rows<'_>, v: Rows<'_>, keys: &mut [u32], values: &mut [u32]) {
    let (d, pairs) = (head.d, head.d.div_ceil(2));
    with_halves(head.t * d, |halves| {
        // SAFETY: `attend` has asserted the instructions.
        unsafe {
            round_rows(k, halves, d);
            for (panel, out) in keys.chunks_exact_mut(pairs * COLUMNS).enumerate() {
                let rows = COLUMNS.min(head.t - panel * COLUMNS);
                let numbers = &halves[panel * COLUMNS * d..];
                transpose(Source { numbers, rows, columns: d, stride: d }, out, COLUMNS);
            }
            round_rows(v, halves, d);
            interleave(
                Source { numbers: halves, rows: head.t, columns: d, stride: d },
                values,
                d.next_multiple_of(LANES),
            );
        }
    });
}

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

/// One block of queries of one head: writes its output rows and their log-sums.
fn attend_block(head: Head, q: Rows<'_>, lanes: (&[u32], &[u32]), q0: usize, out: (&mut [f32], &mut [f32])) {
    let (d, even, (output, log_sum)) = (head.d, head.d.next_multiple_of(2), out);
    let queries = log_sum.len();
    let (mut largest, mut total) = ([f32::NEG_INFINITY; QUERIES], [0.0f32; QUERIES]);
    let block = KEYS.min(head.t);
    with_halves(queries * even, |rows| {
        with_floats(queries * block, |scores| {
            with_halves(queries * block.next_multiple_of(2), |weights| {
                // SAFETY: `attend` has asserted the instructions.
                unsafe { round_rows(q, rows, even) };
                let rows = Broadcast::rows(bytemuck::cast_slice(rows), even / 2);
                for k0 in (0..head.t).step_by(block) {
                    let keys = block.min(head.t - k0);
                    let scores = &mut scores[..queries * keys];
                    score(rows, lanes.0, (k0, keys, d.div_ceil(2)), scores);
                    head.hide(scores, q0, k0, keys);
                    let stride = keys.next_multiple_of(2);
                    let rows = scores.chunks_exact(keys).zip(weights.chunks_exact_mut(stride));
                    for (r, (scores, weights)) in rows.enumerate() {
                        let output = &mut output[r * d..(r + 1) * d];
                        soften((scores, weights), head.scale(), (&mut largest[r], &mut total[r]), output);
                    }
                    let width = d.next_multiple_of(LANES);
                    let e = Extents { rows: queries, columns: d, pairs: stride / 2 };
                    let shared = SharedOutput::new(output);
                    let target = Target { output: &shared, start: 0, row_stride: d };
                    let values = Lanes { words: &lanes.1[k0 / 2 * width..], width };
                    let start = if k0 == 0 { Start::Zero } else { Start::Output };
                    // SAFETY: as above; `output` is borrowed exclusively.
                    unsafe {
                        multiply(e, Broadcast::rows(bytemuck::cast_slice(weights), stride / 2), values, target, start);
                    };
                }
            });
        });
    });
    for r in 0..queries {
        let inverse = 1.0 / total[r];
        output[r * d..(r + 1) * d].iter_mut().for_each(|y| *y *= inverse);
        log_sum[r] = (largest[r] + total[r].log2()) * std::f32::consts::LN_2;
    }
}

/// Unscaled scores of all rows and the keys from `k0`.
fn score(rows: Broadcast<'_>, keys: &[u32], (k0, count, pairs): (usize, usize, usize), scores: &mut [f32]) {
    let queries = scores.len() / count;
    let shared = SharedOutput::new(scores);
    for at in (0..count).step_by(COLUMNS) {
        let e = Extents { rows: queries, columns: COLUMNS.min(count - at), pairs };
        let target = Target { output: &shared, start: at, row_stride: count };
        let lanes = Lanes { words: &keys[(k0 + at) * pairs..], width: COLUMNS };
        // SAFETY: the callers have asserted the instructions; `scores` is borrowed exclusively.
        unsafe { multiply(e, rows, lanes, target, Start::Zero) };
    }
}

/// Turns a row of scores into weights relative to the largest score so far, and brings what was gathered before to the
/// same scale. Scores count in powers of two.
fn soften(
    (scores, weights): (&[f32], &mut [u16]),
    scale: f32,
    (largest, total): (&mut f32, &mut f32),
    output: &mut [f32],
) {
    let factor = scale * std::f32::consts::LOG2_E;
    weights[scores.len()..].fill(0);
    // SAFETY: `attend` has asserted the instructions.
    let now = (unsafe { softmax::largest(scores) } * factor).max(*largest);
    if now == f32::NEG_INFINITY {
        weights.fill(0);
        return;
    }
    let shrink = (*largest - now).exp2();
    // SAFETY: as above.
    *total = *total * shrink + unsafe { weigh(scores, factor, now, weights) };
    *largest = now;
    if shrink != 1.0 {
        output.iter_mut().for_each(|y| *y *= shrink);
    }
}

/// Hands the gradients of one head's q, k and v to `write`.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn attend_backward(head: Head, kept: &Kept<'_>, write: impl FnOnce([&[f32]; 3])) {
    assert!(super::available());
    let (wide, tall) = (head.s * head.d, head.t * head.d);
    with_floats(wide + 2 * tall, |gradients| {
        let (dq, rest) = gradients.split_at_mut(wide);
        let (dk, dv) = rest.split_at_mut(tall);
        differentiate_head(head, kept, dq, dk, dv);
        write([dq, dk, dv]);
    });
}

fn differentiate_head(head: Head, kept: &Kept<'_>, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
    let (d, even) = (head.d, head.d.next_multiple_of(2));
    let blocks = head.s.div_ceil(COLUMNS);
    with_halves(head.t * even, |k| {
        with_halves(head.t * even, |v| {
            with_words(blocks * Side::words(d), |q| {
                with_words(blocks * Side::words(d), |dy| {
                    with_floats(blocks * COLUMNS * d, |dq_turned| {
                        // SAFETY: `attend_backward` has asserted the instructions.
                        unsafe {
                            round_rows(kept.k, k, even);
                            round_rows(kept.v, v, even);
                        }
                        Side::pack(kept.q, d, q);
                        Side::pack(kept.dy, d, dy);
                        let packed = Packed { head, k, v, q, dy, log_sum: kept.log_sum, delta: &delta(kept) };
                        packed.run(dq_turned, dk, dv);
                        for (turned, dq) in dq_turned.chunks_exact(COLUMNS * d).zip(dq.chunks_mut(COLUMNS * d)) {
                            for (query, dq) in dq.chunks_exact_mut(d).enumerate() {
                                dq.iter_mut().enumerate().for_each(|(i, x)| *x = turned[i * COLUMNS + query]);
                            }
                        }
                    });
                });
            });
        });
    });
}

/// dy · y of each row, with dy as the products see it: the gradients of a row's scores are to add up to zero, and an
/// error that all of them have in common would meet the keys' mean, which is large.
fn delta(kept: &Kept<'_>) -> Vec<f32> {
    let rows = kept.dy.iter().zip(kept.output.iter());
    let along = |dy, y| vectorized!(sum_of_two(dy, y, |dy, y| nearest_half(dy) * y));
    rows.map(|(dy, y)| along(dy, y) as f32).collect()
}

/// 64 rows of q or dy in both orders of lanes.
struct Side<'a> {
    /// Lanes are rows.
    turned: Lanes<'a>,
    /// Lanes are columns.
    pairs: Lanes<'a>,
}

impl<'a> Side<'a> {
    fn words(d: usize) -> usize {
        d.div_ceil(2) * COLUMNS + COLUMNS / 2 * d.next_multiple_of(LANES)
    }

    fn of(words: &'a [u32], block: usize, d: usize) -> Self {
        let words = &words[block * Self::words(d)..][..Self::words(d)];
        let (turned, pairs) = words.split_at(d.div_ceil(2) * COLUMNS);
        let width = d.next_multiple_of(LANES);
        Self { turned: Lanes { words: turned, width: COLUMNS }, pairs: Lanes { words: pairs, width } }
    }

    fn pack(rows: Rows<'_>, d: usize, out: &mut [u32]) {
        with_halves(COLUMNS * d, |halves| {
            for (block, out) in out.chunks_exact_mut(Self::words(d)).enumerate() {
                let rows = rows.part(block * COLUMNS, COLUMNS);
                let (turned, pairs) = out.split_at_mut(d.div_ceil(2) * COLUMNS);
                // SAFETY: `attend_backward` has asserted the instructions.
                unsafe {
                    round_rows(rows, halves, d);
                    let source = Source { numbers: halves, rows: rows.count(), columns: d, stride: d };
                    transpose(source, turned, COLUMNS);
                    interleave(source, pairs, d.next_multiple_of(LANES));
                }
            }
        });
    }
}

/// One head, ready for its backward pass.
struct Packed<'a> {
    head: Head,
    k: &'a [u16],
    v: &'a [u16],
    q: &'a [u32],
    dy: &'a [u32],
    log_sum: &'a [f32],
    delta: &'a [f32],
}

/// Buffers of one step, keys by 64 queries.
struct Step<'a> {
    scores: &'a mut [f32],
    ds: &'a mut [f32],
    weights: &'a mut [u16],
    ds_rows: &'a mut [u16],
    ds_lanes: &'a mut [u32],
    k_lanes: &'a mut [u32],
}

impl Packed<'_> {
    /// Gradients of k and v, and that of q turned, [S / 64, D, 64].
    fn run(&self, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
        let most = KEYS_BACKWARD.min(self.head.t);
        let size = most * COLUMNS;
        let k_words = most.div_ceil(2) * self.head.d.next_multiple_of(LANES);
        let words = 3 * size + most.div_ceil(2) * COLUMNS + k_words;
        with_words(words, |words| {
            let (scores, rest) = words.split_at_mut(size);
            let (ds, rest) = rest.split_at_mut(size);
            let (weights, rest) = rest.split_at_mut(size / 2);
            let (ds_rows, rest) = rest.split_at_mut(size / 2);
            let (ds_lanes, k_lanes) = rest.split_at_mut(most.div_ceil(2) * COLUMNS);
            let mut step = Step {
                scores: bytemuck::cast_slice_mut(scores),
                ds: bytemuck::cast_slice_mut(ds),
                weights: bytemuck::cast_slice_mut(weights),
                ds_rows: bytemuck::cast_slice_mut(ds_rows),
                ds_lanes,
                k_lanes,
            };
            let (d, even) = (self.head.d, self.head.d.next_multiple_of(2));
            for k0 in (0..self.head.t).step_by(most) {
                let keys = most.min(self.head.t - k0);
                let source = Source { numbers: &self.k[k0 * even..], rows: keys, columns: d, stride: even };
                // SAFETY: `attend_backward` has asserted the instructions.
                unsafe { interleave(source, step.k_lanes, d.next_multiple_of(LANES)) };
                for block in 0..self.head.s.div_ceil(COLUMNS) {
                    self.step(k0, keys, block, &mut step, (dq, dk, dv));
                }
            }
        });
    }

    /// Adds the share of some keys and 64 queries.
    fn step(
        &self,
        k0: usize,
        keys: usize,
        block: usize,
        step: &mut Step<'_>,
        (dq, dk, dv): (&mut [f32], &mut [f32], &mut [f32]),
    ) {
        let (d, q0) = (self.head.d, block * COLUMNS);
        let (q, dy) = (Side::of(self.q, block, d), Side::of(self.dy, block, d));
        let even = d.next_multiple_of(2);
        let rows = |numbers: &[u16], lanes, out: &mut [f32]| {
            let words = bytemuck::cast_slice(&numbers[k0 * even..]);
            let e = Extents { rows: keys, columns: COLUMNS, pairs: even / 2 };
            alone(e, Broadcast::rows(words, even / 2), lanes, (out, COLUMNS), Start::Zero);
        };
        rows(self.k, q.turned, step.scores);
        rows(self.v, dy.turned, step.ds);
        self.differentiate(k0, keys, q0, step);
        let queries = COLUMNS.min(self.head.s - q0);
        let gather = |weights: &[u16], lanes, out: &mut [f32]| {
            let a = Broadcast::rows(bytemuck::cast_slice(weights), COLUMNS / 2);
            let start = if block == 0 { Start::Zero } else { Start::Output };
            let e = Extents { rows: keys, columns: d, pairs: queries.div_ceil(2) };
            alone(e, a, lanes, (&mut out[k0 * d..], d), start);
        };
        gather(step.weights, dy.pairs, dv);
        gather(step.ds_rows, q.pairs, dk);
        let a = Broadcast::lanes(Lanes { words: step.k_lanes, width: d.next_multiple_of(LANES) });
        let start = if k0 == 0 { Start::Zero } else { Start::Output };
        let e = Extents { rows: d, columns: COLUMNS, pairs: keys.div_ceil(2) };
        let lanes = Lanes { words: step.ds_lanes, width: COLUMNS };
        alone(e, a, lanes, (&mut dq[q0 * d..], COLUMNS), start);
    }

    /// Scores → weights and gradients of weights → gradients of scores for 64 queries; those that do not exist or do
    /// not see a key get zeros.
    fn differentiate(&self, k0: usize, keys: usize, q0: usize, step: &mut Step<'_>) {
        let (mut log_sum, mut delta) = ([f32::INFINITY; COLUMNS], [0.0f32; COLUMNS]);
        let queries = COLUMNS.min(self.head.s - q0);
        let sums = log_sum.iter_mut().zip(&self.log_sum[q0..q0 + queries]);
        sums.for_each(|(to, from)| *to = from * std::f32::consts::LOG2_E);
        delta[..queries].copy_from_slice(&self.delta[q0..q0 + queries]);
        let visible = |key: usize| match self.head.mask {
            Mask::None => u64::MAX,
            Mask::Causal => u64::MAX.checked_shl((k0 + key).saturating_sub(q0) as u32).unwrap_or(0),
        };
        let tile = softmax::Tile {
            scores: step.scores,
            dp: step.ds,
            log_sum: &log_sum,
            delta: &delta,
            weights: step.weights,
            ds_rows: step.ds_rows,
            ds_lanes: step.ds_lanes,
        };
        // SAFETY: `attend_backward` has asserted the instructions.
        unsafe { differentiate(tile, keys, self.head.scale(), visible) };
    }
}

/// A product into a slice that nobody else sees.
fn alone(e: Extents, a: Broadcast<'_>, b: Lanes<'_>, (out, row_stride): (&mut [f32], usize), start: Start<'_>) {
    let output = SharedOutput::new(out);
    // SAFETY: `attend_backward` has asserted the instructions; `out` is borrowed exclusively.
    unsafe { multiply(e, a, b, Target { output: &output, start: 0, row_stride }, start) };
}
