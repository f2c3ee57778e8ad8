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

use crate::attention_head::{Head, Kept, Mask, RowSums};
use crate::elementary::exp;
use crate::frozen::WeightDtype;
use crate::frozen_op::{dims, flex_tensor};
use crate::heads::{Heads, NewHeads, Rows};
use crate::lanes::{maximum, sum, vectorized};
use crate::product::{Existing, Extents, OutputRows, View, product};
use crate::shared_output::SharedOutput;

const QUERIES: usize = 128;
const KEYS: usize = 512;

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
    #[cfg_attr(not(any(feature = "cube", target_arch = "x86_64")), expect(dead_code))]
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
    let [_, _, s, d] = q.dims();
    let [_, _, t, _] = k.dims();
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

fn view(rows: Rows<'_>) -> View<'_> {
    View::rows(rows.numbers(), rows.stride)
}

/// Some queries and some keys.
#[derive(Clone, Copy)]
struct Tile {
    q0: usize,
    queries: usize,
    k0: usize,
    keys: usize,
}

impl Tile {
    /// Scaled scores, hidden ones at −∞.
    fn scores(self, head: Head, q: Rows<'_>, k: Rows<'_>, output: &mut [f32]) {
        let e = Extents { m: self.queries, n: self.keys, k: head.d };
        let a = view(q.part(self.q0, self.queries));
        let b = view(k.part(self.k0, self.keys)).transposed();
        product(e, OutputRows { output, stride: self.keys }, Existing::Replace, a, b, head.scale());
        head.hide(output, self.q0, self.k0, self.keys);
    }
}

/// One block of queries of one head: writes its output rows and their log-sums.
fn attend_block(head: Head, [q, k, v]: [Rows<'_>; 3], q0: usize, output: &mut [f32], log_sum: &mut [f32]) {
    let queries = log_sum.len();
    let d = head.d;
    let mut scores = vec![0.0; queries * KEYS.min(head.t)];
    let mut sums = vec![RowSums::NONE; queries];
    for k0 in (0..head.t).step_by(KEYS) {
        let keys = KEYS.min(head.t - k0);
        let scores = &mut scores[..queries * keys];
        Tile { q0, queries, k0, keys }.scores(head, q, k, scores);
        let rows = scores.chunks_exact_mut(keys).zip(output.chunks_exact_mut(d)).zip(&mut sums);
        for ((row, output), sums) in rows {
            vectorized!(soften(row, sums, output));
        }
        let e = Extents { m: queries, n: d, k: keys };
        let weights = View::rows(scores, keys);
        product(e, OutputRows { output, stride: d }, Existing::Add, weights, view(v.part(k0, keys)), 1.0);
    }
    for ((row, log_sum), sums) in output.chunks_exact_mut(d).zip(log_sum).zip(&sums) {
        let inverse = 1.0 / sums.total;
        row.iter_mut().for_each(|y| *y *= inverse);
        *log_sum = sums.largest + sums.total.ln();
    }
}

/// Turns a row of scores into weights relative to the largest score so far, and brings what was gathered before to the
/// same scale.
#[inline(always)]
fn soften(row: &mut [f32], sums: &mut RowSums, output: &mut [f32]) {
    let now = maximum(row).max(sums.largest);
    if now == f32::NEG_INFINITY {
        row.fill(0.0);
        return;
    }
    let shrink = exp(sums.largest - now);
    row.iter_mut().for_each(|x| *x = exp(*x - now));
    sums.total = sums.total * shrink + sum(row, |x| x) as f32;
    sums.largest = now;
    if shrink != 1.0 {
        output.iter_mut().for_each(|y| *y *= shrink);
    }
}

/// Gradients of one head, all starting at zero.
fn attend_head_backward(head: Head, kept: &Kept<'_>, dq: &mut [f32], dk: &mut [f32], dv: &mut [f32]) {
    let d = head.d;
    let scale = head.scale();
    let rows = kept.dy.iter().zip(kept.output.iter());
    let delta: Vec<f32> = rows.map(|(dy, y)| dy.iter().zip(y).map(|(a, b)| a * b).sum()).collect();
    let size = QUERIES.min(head.s) * KEYS.min(head.t);
    let mut p = vec![0.0; size];
    let mut ds = vec![0.0; size];
    for k0 in (0..head.t).step_by(KEYS) {
        let keys = KEYS.min(head.t - k0);
        for q0 in (0..head.s).step_by(QUERIES) {
            let queries = QUERIES.min(head.s - q0);
            let p = &mut p[..queries * keys];
            let ds = &mut ds[..queries * keys];
            let q = view(kept.q.part(q0, queries));
            let dy = view(kept.dy.part(q0, queries));
            let k = view(kept.k.part(k0, keys));
            let v = view(kept.v.part(k0, keys));
            Tile { q0, queries, k0, keys }.scores(head, kept.q, kept.k, p);
            let e = Extents { m: queries, n: keys, k: d };
            product(e, OutputRows { output: ds, stride: keys }, Existing::Replace, dy, v.transposed(), 1.0);
            for (r, (p, ds)) in p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).enumerate() {
                let log_sum = kept.log_sum[q0 + r];
                let delta = delta[q0 + r];
                vectorized!({
                    p.iter_mut().zip(ds).for_each(|(p, ds)| {
                        *p = exp(*p - log_sum);
                        *ds = *p * (*ds - delta) * scale;
                    });
                });
            }
            let p = View::rows(p, keys);
            let ds = View::rows(ds, keys);
            let e = Extents { m: keys, n: d, k: queries };
            let dv = OutputRows { output: &mut dv[k0 * d..], stride: d };
            product(e, dv, Existing::Add, p.transposed(), dy, 1.0);
            let dk = OutputRows { output: &mut dk[k0 * d..], stride: d };
            product(e, dk, Existing::Add, ds.transposed(), q, 1.0);
            let e = Extents { m: queries, n: d, k: keys };
            let dq = OutputRows { output: &mut dq[q0 * d..], stride: d };
            product(e, dq, Existing::Add, ds, k, 1.0);
        }
    }
}

/// Extents of the heads of q [B, heads, S, D] and k [B, heads, T, D].
fn head_of(q: &FlexTensor, k: &FlexTensor, mask: Mask) -> Head {
    let q = dims(q);
    let k = dims(k);
    assert!(q[0] == k[0] && q[1] == k[1] && q[3] == k[3], "attention of {q:?} to {k:?}");
    Head { s: q[2], t: k[2], d: q[3], mask }
}

impl AttentionOps for Flex {
    fn attend(q: FlexTensor, k: FlexTensor, v: FlexTensor, form: Form) -> (FlexTensor, FlexTensor) {
        let head = head_of(&q, &k, form.mask);
        let shape = dims(&q);
        let heads = shape[0] * shape[1];
        let [q, k, v] = [q, k, v].map(Heads::of);
        let mut output = NewHeads::like(&q);
        let mut log_sum = vec![0.0; heads * head.s];
        let shared = output.shared();
        let sums = SharedOutput::new(&mut log_sum);
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
                let h = index / blocks;
                let q0 = index % blocks * QUERIES;
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
        let head = head_of(&q, &k, form.mask);
        let shape = dims(&q);
        let heads = shape[0] * shape[1];
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
