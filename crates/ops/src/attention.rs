//! Scaled dot-product attention in tiles (Dao et al. 2022); the tape keeps q, k, v, the output and one number per row.
//!
//! The score matrix never exists as a whole, neither forward nor backward.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData, activation};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::elementary::exp;
use crate::frozen::WeightDtype;
use crate::frozen_op::{dims, flex_tensor};
use crate::heads::{Heads, NewHeads, Rows};
use crate::lanes::{maximum, sum, vectorized};
use crate::product::{Extents, Into, View, product};
use crate::shared_output::SharedOutput;

const QUERIES: usize = 128;
const KEYS: usize = 512;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All of them.
    None,
    /// Those up to its own position (CLIP's text encoder).
    Causal,
}

/// softmax(q·kᵀ / √D)·v, computed in what layers whose weights are held in `dtype` compute in.
///
/// # Shapes
/// - q: [B, heads, S, D]; k, v: [B, heads, T, D]
/// - output: [B, heads, S, D]
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask, dtype: WeightDtype) -> Tensor<4> {
    let form = Form { mask, dtype };
    let (output, _) = Dispatch::attend(q.into_dispatch(), k.into_dispatch(), v.into_dispatch(), form);
    Tensor::from_dispatch(output)
}

/// What is fixed about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    mask: Mask,
    dtype: WeightDtype,
}

impl Form {
    #[cfg(feature = "cube")]
    pub fn mask(self) -> Mask {
        self.mask
    }

    #[cfg(feature = "cube")]
    pub fn dtype(self) -> WeightDtype {
        self.dtype
    }

    #[cfg(target_arch = "x86_64")]
    fn is_bf16(self) -> bool {
        self.dtype != WeightDtype::F32 && crate::bf16::available()
    }
}

/// [`attention`] in Burn primitives.
///
/// # Shapes
/// - q: [B, heads, S, D]; k, v: [B, heads, T, D]
/// - output: [B, heads, S, D]
pub fn plain_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask) -> Tensor<4> {
    let ([_, _, s, d], t) = (q.dims(), k.dims()[2]);
    let scores = q.clone().matmul(k.transpose()).div_scalar((d as f64).sqrt());
    let scores = match mask {
        Mask::None => scores,
        Mask::Causal => {
            let hidden = (0..s * t).map(|i| if i % t > i / t { -1e30f32 } else { 0.0 }).collect();
            scores + Tensor::<4>::from_data(TensorData::new(hidden, [1, 1, s, t]), &q.device())
        }
    };
    activation::softmax(scores, 3).matmul(v)
}

/// The backend's part: output and the logarithm of each row's sum; gradients of q, k and v.
#[backend_extension(Flex, Cube: cfg(feature = "cube"), Autodiff)]
pub(crate) trait AttentionOps: Backend {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    fn attend_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        output: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Extents of one head.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub s: usize,
    pub t: usize,
    pub d: usize,
    pub mask: Mask,
}

impl Head {
    pub fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    /// Puts −∞ where queries from `q0` on do not see keys from `k0` on.
    pub fn hide(&self, scores: &mut [f32], q0: usize, k0: usize, keys: usize) {
        if self.mask == Mask::Causal {
            for (index, row) in scores.chunks_exact_mut(keys).enumerate() {
                let visible = (q0 + index + 1).saturating_sub(k0).min(keys);
                row[visible..].fill(f32::NEG_INFINITY);
            }
        }
    }

    /// Scaled scores of a tile of queries and keys, hidden ones at −∞.
    fn scores(&self, q: Rows<'_>, k: Rows<'_>, tile: Tile, out: &mut [f32]) {
        let e = Extents { m: tile.queries, n: tile.keys, k: self.d };
        let (a, b) = (view(q.part(tile.q0, tile.queries)), view(k.part(tile.k0, tile.keys)));
        product(e, (out, tile.keys), Into::Replace, a, b.transposed(), self.scale());
        self.hide(out, tile.q0, tile.k0, tile.keys);
    }
}

fn view(rows: Rows<'_>) -> View<'_> {
    View::rows(rows.numbers(), rows.stride)
}

#[derive(Clone, Copy)]
struct Tile {
    q0: usize,
    queries: usize,
    k0: usize,
    keys: usize,
}

/// One block of queries of one head: writes its output rows and their log-sums.
fn attend_block(head: Head, [q, k, v]: [Rows<'_>; 3], q0: usize, output: &mut [f32], log_sum: &mut [f32]) {
    let (queries, d) = (log_sum.len(), head.d);
    let mut scores = vec![0.0; queries * KEYS.min(head.t)];
    let mut largest = vec![f32::NEG_INFINITY; queries];
    let mut total = vec![0.0f32; queries];
    for k0 in (0..head.t).step_by(KEYS) {
        let tile = Tile { q0, queries, k0, keys: KEYS.min(head.t - k0) };
        let scores = &mut scores[..queries * tile.keys];
        head.scores(q, k, tile, scores);
        for (r, row) in scores.chunks_exact_mut(tile.keys).enumerate() {
            let state = (&mut largest[r], &mut total[r]);
            vectorized!(soften(row, state, &mut output[r * d..(r + 1) * d]));
        }
        let e = Extents { m: queries, n: d, k: tile.keys };
        let b = view(v.part(k0, tile.keys));
        product(e, (output, d), Into::Add, View::rows(scores, tile.keys), b, 1.0);
    }
    for r in 0..queries {
        let inverse = 1.0 / total[r];
        output[r * d..(r + 1) * d].iter_mut().for_each(|y| *y *= inverse);
        log_sum[r] = largest[r] + total[r].ln();
    }
}

/// Turns a row of scores into weights relative to the largest score so far, and brings what was gathered before to the
/// same scale.
#[inline(always)]
fn soften(row: &mut [f32], (largest, total): (&mut f32, &mut f32), output: &mut [f32]) {
    let now = maximum(row).max(*largest);
    if now == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    let shrink = exp(*largest - now);
    row.iter_mut().for_each(|x| *x = exp(*x - now));
    *total = *total * shrink + sum(row, |x| x) as f32;
    *largest = now;
    if shrink != 1.0 {
        output.iter_mut().for_each(|y| *y *= shrink);
    }
}

/// Tensors of one head that the backward pass reads.
pub(crate) struct Kept<'a> {
    pub q: Rows<'a>,
    pub k: Rows<'a>,
    pub v: Rows<'a>,
    pub output: Rows<'a>,
    pub log_sum: &'a [f32],
    pub dy: Rows<'a>,
}

/// Gradients of one head, all starting at zero.
fn attend_head_backward(head: Head, kept: &Kept<'_>, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
    let d = head.d;
    let rows = kept.dy.iter().zip(kept.output.iter());
    let delta: Vec<f32> = rows.map(|(dy, y)| dy.iter().zip(y).map(|(a, b)| a * b).sum()).collect();
    let size = QUERIES.min(head.s) * KEYS.min(head.t);
    let (mut p, mut ds) = (vec![0.0; size], vec![0.0; size]);
    for k0 in (0..head.t).step_by(KEYS) {
        let keys = KEYS.min(head.t - k0);
        for q0 in (0..head.s).step_by(QUERIES) {
            let tile = Tile { q0, queries: QUERIES.min(head.s - q0), k0, keys };
            let (p, ds) = (&mut p[..tile.queries * keys], &mut ds[..tile.queries * keys]);
            head.scores(kept.q, kept.k, tile, p);
            let dy = view(kept.dy.part(q0, tile.queries));
            let e = Extents { m: tile.queries, n: keys, k: d };
            product(e, (ds, keys), Into::Replace, dy, view(kept.v.part(k0, keys)).transposed(), 1.0);
            for (r, (p, ds)) in p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).enumerate() {
                let (log_sum, delta) = (kept.log_sum[q0 + r], delta[q0 + r]);
                let scale = head.scale();
                vectorized!({
                    p.iter_mut().zip(ds).for_each(|(p, ds)| {
                        *p = exp(*p - log_sum);
                        *ds = *p * (*ds - delta) * scale;
                    });
                });
            }
            let (p, ds) = (View::rows(p, keys), View::rows(ds, keys));
            let e = Extents { m: keys, n: d, k: tile.queries };
            product(e, (&mut dv[k0 * d..], d), Into::Add, p.transposed(), dy, 1.0);
            product(e, (&mut dk[k0 * d..], d), Into::Add, ds.transposed(), view(kept.q.part(q0, tile.queries)), 1.0);
            let e = Extents { m: tile.queries, n: d, k: keys };
            product(e, (&mut dq[q0 * d..], d), Into::Add, ds, view(kept.k.part(k0, keys)), 1.0);
        }
    }
}

fn head_of(q: &FlexTensor, k: &FlexTensor, mask: Mask) -> (usize, Head) {
    let (q, k) = (dims(q), dims(k));
    assert!(q[0] == k[0] && q[1] == k[1] && q[3] == k[3], "attention of {q:?} to {k:?}");
    (q[0] * q[1], Head { s: q[2], t: k[2], d: q[3], mask })
}

impl AttentionOps for Flex {
    fn attend(q: FlexTensor, k: FlexTensor, v: FlexTensor, form: Form) -> (FlexTensor, FlexTensor) {
        let ((heads, head), shape) = (head_of(&q, &k, form.mask), dims(&q));
        let [q, k, v] = [q, k, v].map(Heads::of);
        let (mut output, mut log_sum) = (NewHeads::like(&q), vec![0.0; heads * head.s]);
        let (shared, sums) = (output.shared(), SharedOutput::new(&mut log_sum));
        #[cfg(target_arch = "x86_64")]
        let bf16 = form.is_bf16();
        #[cfg(not(target_arch = "x86_64"))]
        let bf16 = false;
        if bf16 {
            #[cfg(target_arch = "x86_64")]
            crate::bf16::attend(head, heads, [&q, &k, &v], &shared, &sums);
        } else {
            let blocks = head.s.div_ceil(QUERIES);
            (0..heads * blocks).into_par_iter().for_each(|index| {
                let (h, q0) = (index / blocks, index % blocks * QUERIES);
                let queries = QUERIES.min(head.s - q0);
                let mut output = vec![0.0; queries * head.d];
                // SAFETY: each task writes its own rows.
                unsafe {
                    let sums = sums.part(h * head.s + q0, queries);
                    attend_block(head, [&q, &k, &v].map(|tensor| tensor.head(h)), q0, &mut output, sums);
                    shared.write(h, q0, &output);
                }
            });
        }
        // SAFETY: the blocks of all heads are all rows.
        (unsafe { output.tensor() }, flex_tensor(log_sum, shape[..3].to_vec()))
    }

    fn attend_backward(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        output: FlexTensor,
        log_sum: FlexTensor,
        dy: FlexTensor,
        form: Form,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (heads, head) = head_of(&q, &k, form.mask);
        let log_sum = log_sum.to_contiguous();
        let [q, k, v, output, dy] = [q, k, v, output, dy].map(Heads::of);
        let mut gradients = [NewHeads::like(&q), NewHeads::like(&k), NewHeads::like(&v)];
        let [dq, dk, dv] = gradients.each_mut().map(NewHeads::shared);
        (0..heads).into_par_iter().for_each(|h| {
            let kept = Kept {
                q: q.head(h),
                k: k.head(h),
                v: v.head(h),
                output: output.head(h),
                log_sum: &log_sum.storage()[h * head.s..][..head.s],
                dy: dy.head(h),
            };
            // SAFETY: each task writes its own head.
            let write = |rows: [&[f32]; 3]| unsafe {
                for (gradient, rows) in [&dq, &dk, &dv].into_iter().zip(rows) {
                    gradient.write(h, 0, rows);
                }
            };
            #[cfg(target_arch = "x86_64")]
            if form.is_bf16() {
                return crate::bf16::attend_backward(head, &kept, write);
            }
            let [mut dq, mut dk, mut dv] = [head.s, head.t, head.t].map(|rows| vec![0.0; rows * head.d]);
            attend_head_backward(head, &kept, &mut dq, &mut dk, &mut dv);
            write([&dq, &dk, &dv]);
        });
        // SAFETY: all rows of all heads are written.
        let [dq, dk, dv] = gradients.map(|gradient| unsafe { gradient.tensor() });
        (dq, dk, dv)
    }
}

#[derive(Debug)]
struct AttentionBackward;

impl<B: AttentionOps> Backward<B, 3> for AttentionBackward {
    type State = ([NodeId; 3], FloatTensor<B>, FloatTensor<B>, Form);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (inputs, output, log_sum, form) = ops.state;
        let [q, k, v] = inputs.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        let (dq, dk, dv) = B::attend_backward(q, k, v, output, log_sum, dy, form);
        for (parent, gradient) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match AttentionBackward.prepare::<C>([q.node(), k.node(), v.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut tape) => {
                let kept = [tape.checkpoint(&q), tape.checkpoint(&k), tape.checkpoint(&v)];
                let (y, log_sum) = B::attend(q.into_primitive(), k.into_primitive(), v.into_primitive(), form);
                let state = (kept, y.clone(), log_sum.clone(), form);
                (tape.finish(state, y), <Self as AutodiffBackend>::from_inner(log_sum))
            }
            OpsKind::UnTracked(tape) => {
                let (y, log_sum) = B::attend(q.into_primitive(), k.into_primitive(), v.into_primitive(), form);
                (tape.finish(y), <Self as AutodiffBackend>::from_inner(log_sum))
            }
        }
    }

    fn attend_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("there is no second derivative of attention")
    }
}
