//! Attention forward: blocks of queries, whose scores stand in rows, as in `crate::attention`.

use rayon::prelude::*;

use super::round_rows;
use crate::attention_head::{Head, RowSums};
use crate::bf16::pack::{Source, interleave, transpose};
use crate::bf16::scratch::{with_floats, with_halves, with_words};
use crate::bf16::softmax::{largest, weigh};
use crate::bf16::tile::{Broadcast, COLUMNS, Extents, LANES, Lanes, Start, multiply};
use crate::heads::{Heads, Rows, SharedHeads};
use crate::shared_output::{SharedOutput, Target};

/// Queries of one task.
const QUERIES: usize = 96;
/// Keys of one step.
const KEYS: usize = 512;

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
    assert!(crate::bf16::available());
    let size = PackedKeys::words(head);
    with_words(heads * size, |words| {
        words.par_chunks_mut(size).enumerate().for_each(|(h, words)| {
            PackedKeys::pack(head, k.head(h), v.head(h), words);
        });
        let words = &*words;
        let blocks = head.s.div_ceil(QUERIES);
        (0..heads * blocks).into_par_iter().for_each(|index| {
            let h = index / blocks;
            let q0 = index % blocks * QUERIES;
            let queries = QUERIES.min(head.s - q0);
            let keys = PackedKeys::of(head, &words[h * size..][..size]);
            let block = QueryBlock { head, q0, queries, keys };
            with_floats(queries * head.d, |rows| {
                // SAFETY: each task writes its own rows.
                unsafe {
                    block.attend(q.head(h).part(q0, queries), rows, sums.part(h * head.s + q0, queries));
                    output.write(h, q0, rows);
                }
            });
        });
    });
}

/// The keys and values of one head in the order of lanes.
#[derive(Clone, Copy)]
struct PackedKeys<'a> {
    /// Keys transposed, in panels of 64.
    k: &'a [u32],
    /// Values by pairs of keys.
    v: &'a [u32],
}

impl<'a> PackedKeys<'a> {
    fn key_words(head: Head) -> usize {
        head.t.next_multiple_of(COLUMNS) * head.d.div_ceil(2)
    }

    /// Words of both.
    fn words(head: Head) -> usize {
        Self::key_words(head) + head.t.div_ceil(2) * head.d.next_multiple_of(LANES)
    }

    /// What [`pack`](Self::pack) has written.
    fn of(head: Head, words: &'a [u32]) -> Self {
        let (k, v) = words.split_at(Self::key_words(head));
        Self { k, v }
    }

    fn pack(head: Head, k: Rows<'_>, v: Rows<'_>, words: &mut [u32]) {
        let d = head.d;
        let panel_words = d.div_ceil(2) * COLUMNS;
        let (keys, values) = words.split_at_mut(Self::key_words(head));
        with_halves(head.t * d, |halves| {
            // SAFETY: `attend` has asserted the instructions.
            unsafe {
                round_rows(k, halves, d);
                for (panel, out) in keys.chunks_exact_mut(panel_words).enumerate() {
                    let rows = COLUMNS.min(head.t - panel * COLUMNS);
                    let numbers = &halves[panel * COLUMNS * d..];
                    transpose(Source { numbers, rows, columns: d, stride: d }, out, COLUMNS);
                }
                round_rows(v, halves, d);
                let source = Source { numbers: halves, rows: head.t, columns: d, stride: d };
                interleave(source, values, d.next_multiple_of(LANES));
            }
        });
    }
}

/// Some queries of one head.
struct QueryBlock<'a> {
    head: Head,
    /// The first query.
    q0: usize,
    queries: usize,
    keys: PackedKeys<'a>,
}

/// Buffers of one block of queries.
struct Scratch<'a> {
    /// Queries, rounded, in rows of an even length.
    q: &'a mut [u16],
    /// Scores of the keys of one step, queries by keys.
    scores: &'a mut [f32],
    /// Weights of these keys, rounded, in rows of an even length.
    weights: &'a mut [u16],
}

impl QueryBlock<'_> {
    /// Writes the output of these queries [queries, D] and the logarithms of their sums.
    fn attend(&self, q: Rows<'_>, output: &mut [f32], log_sum: &mut [f32]) {
        let d = self.head.d;
        let mut sums = [RowSums::NONE; QUERIES];
        self.with_scratch(|mut scratch| {
            // SAFETY: `attend` has asserted the instructions.
            unsafe { round_rows(q, scratch.q, d.next_multiple_of(2)) };
            for k0 in (0..self.head.t).step_by(KEYS) {
                self.online_softmax_block(k0, &mut scratch, &mut sums, output);
            }
        });
        let rows = output.chunks_exact_mut(d).zip(log_sum).zip(&sums);
        for ((row, log_sum), sums) in rows {
            let inverse = 1.0 / sums.total;
            row.iter_mut().for_each(|y| *y *= inverse);
            *log_sum = (sums.largest + sums.total.log2()) * std::f32::consts::LN_2;
        }
    }

    /// Lends the buffers, each from a line of the cache on.
    fn with_scratch(&self, work: impl FnOnce(Scratch<'_>)) {
        let keys = KEYS.min(self.head.t);
        let q_words = self.queries * self.head.d.div_ceil(2);
        let q_room = q_words.next_multiple_of(LANES);
        let score_words = self.queries * keys;
        let score_room = score_words.next_multiple_of(LANES);
        let weight_words = self.queries * keys.div_ceil(2);
        with_words(q_room + score_room + weight_words, |words| {
            let (q, words) = words.split_at_mut(q_room);
            let (scores, weights) = words.split_at_mut(score_room);
            work(Scratch {
                q: bytemuck::cast_slice_mut(&mut q[..q_words]),
                scores: bytemuck::cast_slice_mut(&mut scores[..score_words]),
                weights: bytemuck::cast_slice_mut(weights),
            });
        });
    }

    /// One step of the online softmax: scores of the keys from `k0` on, their weights relative to the largest score so
    /// far, and their values times these weights added to the output.
    fn online_softmax_block(&self, k0: usize, scratch: &mut Scratch<'_>, sums: &mut [RowSums], output: &mut [f32]) {
        let Self { head, q0, queries, .. } = *self;
        let keys = KEYS.min(head.t - k0);
        let stride = keys.next_multiple_of(2);
        let scores = &mut scratch.scores[..queries * keys];
        self.score(k0, keys, scratch.q, scores);
        head.hide(scores, q0, k0, keys);
        let rows = scores.chunks_exact(keys).zip(scratch.weights.chunks_exact_mut(stride));
        let outputs = output.chunks_exact_mut(head.d).zip(sums);
        for ((scores, weights), (output, sums)) in rows.zip(outputs) {
            soften(scores, weights, head.scale(), sums, output);
        }
        let width = head.d.next_multiple_of(LANES);
        let e = Extents { rows: queries, columns: head.d, pairs: stride / 2 };
        let weights = Broadcast::rows(bytemuck::cast_slice(scratch.weights), stride / 2);
        let values = Lanes { words: &self.keys.v[k0 / 2 * width..], width };
        let shared = SharedOutput::new(output);
        let target = Target { output: &shared, start: 0, row_stride: head.d };
        let start = if k0 == 0 { Start::Zero } else { Start::Output };
        // SAFETY: `attend` has asserted the instructions; `output` is borrowed exclusively.
        unsafe { multiply(e, weights, values, target, start) };
    }

    /// Unscaled scores of all queries and some keys.
    fn score(&self, k0: usize, keys: usize, q: &[u16], scores: &mut [f32]) {
        let pairs = self.head.d.div_ceil(2);
        let rows = Broadcast::rows(bytemuck::cast_slice(q), pairs);
        let shared = SharedOutput::new(scores);
        for at in (0..keys).step_by(COLUMNS) {
            let e = Extents { rows: self.queries, columns: COLUMNS.min(keys - at), pairs };
            let target = Target { output: &shared, start: at, row_stride: keys };
            let lanes = Lanes { words: &self.keys.k[(k0 + at) * pairs..], width: COLUMNS };
            // SAFETY: `attend` has asserted the instructions; `scores` is borrowed exclusively.
            unsafe { multiply(e, rows, lanes, target, Start::Zero) };
        }
    }
}

/// Turns a row of scores into weights relative to the largest score so far, and brings what was gathered before to the
/// same scale. Scores count in powers of two.
fn soften(scores: &[f32], weights: &mut [u16], scale: f32, sums: &mut RowSums, output: &mut [f32]) {
    let factor = scale * std::f32::consts::LOG2_E;
    weights[scores.len()..].fill(0);
    // SAFETY: `attend` has asserted the instructions.
    let now = (unsafe { largest(scores) } * factor).max(sums.largest);
    if now == f32::NEG_INFINITY {
        weights.fill(0);
        return;
    }
    let shrink = (sums.largest - now).exp2();
    // SAFETY: as above.
    sums.total = sums.total * shrink + unsafe { weigh(scores, factor, now, weights) };
    sums.largest = now;
    if shrink != 1.0 {
        output.iter_mut().for_each(|y| *y *= shrink);
    }
}
