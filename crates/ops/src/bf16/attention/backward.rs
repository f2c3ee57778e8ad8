//! Attention backward: scores are kept transposed, keys by queries. Then the weights are at once the rows that the gradients
//! of k and v need, and, as lanes, what the gradient of q needs.

use super::round_rows;
use crate::attention_head::{Head, Kept, Mask};
use crate::bf16::pack::{Source, interleave, transpose};
use crate::bf16::scratch::{with_floats, with_halves, with_words};
use crate::bf16::softmax::{self, differentiate};
use crate::bf16::tile::{Broadcast, COLUMNS, Extents, LANES, Lanes, Start, multiply};
use crate::heads::Rows;
use crate::lanes::sum_of_two;
use crate::product::OutputRows;
use crate::rounding::nearest_half;
use crate::shared_output::{SharedOutput, Target};

/// Keys of one step.
const KEYS: usize = 256;

/// Hands the gradients of one head's q, k and v to `write`.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn attend_backward(head: Head, kept: &Kept<'_>, write: impl FnOnce([&[f32]; 3])) {
    assert!(crate::bf16::available());
    let query_size = head.s * head.d;
    let key_size = head.t * head.d;
    with_floats(query_size + 2 * key_size, |gradients| {
        let (dq, rest) = gradients.split_at_mut(query_size);
        let (dk, dv) = rest.split_at_mut(key_size);
        differentiate_head(head, kept, dq, dk, dv);
        write([dq, dk, dv]);
    });
}

fn differentiate_head(head: Head, kept: &Kept<'_>, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
    let d = head.d;
    let even = d.next_multiple_of(2);
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
                        packed.run(&mut Gradients { dq_turned, dk, dv });
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
    let mut delta = Vec::with_capacity(kept.dy.count());
    for (dy, y) in kept.dy.iter().zip(kept.output.iter()) {
        // Rows are short: at full width, adding up the lanes costs more than the products (measured).
        delta.push(sum_of_two(dy, y, |dy, y| nearest_half(dy) * y) as f32);
    }
    delta
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

/// Gradients of one head.
struct Gradients<'a> {
    /// The gradient of q, transposed by blocks of queries: [S / 64, D, 64].
    dq_turned: &'a mut [f32],
    /// [T, D].
    dk: &'a mut [f32],
    /// [T, D].
    dv: &'a mut [f32],
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
    /// All gradients.
    fn run(&self, gradients: &mut Gradients<'_>) {
        let most = KEYS.min(self.head.t);
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
            let d = self.head.d;
            let even = d.next_multiple_of(2);
            for k0 in (0..self.head.t).step_by(most) {
                let keys = most.min(self.head.t - k0);
                let source = Source { numbers: &self.k[k0 * even..], rows: keys, columns: d, stride: even };
                // SAFETY: `attend_backward` has asserted the instructions.
                unsafe { interleave(source, step.k_lanes, d.next_multiple_of(LANES)) };
                for block in 0..self.head.s.div_ceil(COLUMNS) {
                    self.step(k0, keys, block, &mut step, gradients);
                }
            }
        });
    }

    /// Adds the share of some keys and 64 queries.
    fn step(&self, k0: usize, keys: usize, block: usize, step: &mut Step<'_>, gradients: &mut Gradients<'_>) {
        let d = self.head.d;
        let q0 = block * COLUMNS;
        let queries = COLUMNS.min(self.head.s - q0);
        let q = Side::of(self.q, block, d);
        let dy = Side::of(self.dy, block, d);
        self.by_keys(k0, keys, self.k, q.turned, step.scores);
        self.by_keys(k0, keys, self.v, dy.turned, step.ds);
        self.differentiate(k0, keys, q0, step);

        let e = Extents { rows: keys, columns: d, pairs: queries.div_ceil(2) };
        let start = if block == 0 { Start::Zero } else { Start::Output };
        let weights = Broadcast::rows(bytemuck::cast_slice(step.weights), COLUMNS / 2);
        alone(e, weights, dy.pairs, OutputRows { output: &mut gradients.dv[k0 * d..], stride: d }, start);
        let ds = Broadcast::rows(bytemuck::cast_slice(step.ds_rows), COLUMNS / 2);
        alone(e, ds, q.pairs, OutputRows { output: &mut gradients.dk[k0 * d..], stride: d }, start);

        let e = Extents { rows: d, columns: COLUMNS, pairs: keys.div_ceil(2) };
        let start = if k0 == 0 { Start::Zero } else { Start::Output };
        let k = Broadcast::lanes(Lanes { words: step.k_lanes, width: d.next_multiple_of(LANES) });
        let ds = Lanes { words: step.ds_lanes, width: COLUMNS };
        alone(e, k, ds, OutputRows { output: &mut gradients.dq_turned[q0 * d..], stride: COLUMNS }, start);
    }

    /// Products of the rows of some keys or values with 64 queries or their gradients.
    fn by_keys(&self, k0: usize, keys: usize, numbers: &[u16], lanes: Lanes<'_>, output: &mut [f32]) {
        let pairs = self.head.d.div_ceil(2);
        let e = Extents { rows: keys, columns: COLUMNS, pairs };
        let rows = Broadcast::rows(bytemuck::cast_slice(&numbers[k0 * 2 * pairs..]), pairs);
        alone(e, rows, lanes, OutputRows { output, stride: COLUMNS }, Start::Zero);
    }

    /// Scores → weights and gradients of weights → gradients of scores for 64 queries; those that do not exist or do
    /// not see a key get zeros.
    fn differentiate(&self, k0: usize, keys: usize, q0: usize, step: &mut Step<'_>) {
        let mut log_sum = [f32::INFINITY; COLUMNS];
        let mut delta = [0.0f32; COLUMNS];
        let queries = COLUMNS.min(self.head.s - q0);
        for (to, from) in log_sum.iter_mut().zip(&self.log_sum[q0..q0 + queries]) {
            *to = from * std::f32::consts::LOG2_E;
        }
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
fn alone(e: Extents, a: Broadcast<'_>, b: Lanes<'_>, out: OutputRows<'_>, start: Start<'_>) {
    let output = SharedOutput::new(out.output);
    // SAFETY: `attend_backward` has asserted the instructions; the output is borrowed exclusively.
    unsafe { multiply(e, a, b, Target { output: &output, start: 0, row_stride: out.stride }, start) };
}
