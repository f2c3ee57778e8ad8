//! Attention in tiles of queries (Dao et al. 2022): of the scores, as much exists at a time as one tile needs.

use std::ops::Range;

use burn::tensor::{DType, Tensor, TensorData, activation};

use super::in_precision_of;
use crate::attention_head::Mask;

/// Scores of one tile, about: 64 MB in f32.
#[cfg(feature = "cube")]
pub(crate) const SCORES: usize = 1 << 24;

/// What an attention is computed from, and in what.
#[derive(Clone)]
pub(crate) struct Attended {
    pub q: Tensor<4>,
    pub k: Tensor<4>,
    pub v: Tensor<4>,
    pub mask: Mask,
    /// In what products are computed.
    pub dtype: DType,
    /// Scores of one tile, about.
    pub scores: usize,
}

impl Attended {
    fn scale(&self) -> f32 {
        1.0 / (self.q.dims()[3] as f32).sqrt()
    }

    /// The queries of each tile.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let [batch, heads, queries, _] = self.q.dims();
        let [_, _, keys, _] = self.k.dims();
        let step = (self.scores / (batch * heads * keys)).clamp(1, queries);
        (0..queries).step_by(step).map(move |first| first..(first + step).min(queries))
    }

    /// a·b in the attention's precision, [B, heads, ..].
    fn product(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        let dtype = self.dtype;
        let b = if dtype == DType::F32 { b } else { b.cast(dtype) };
        in_precision_of(dtype, a, |a| a.matmul(b))
    }

    /// Scaled scores of a tile, hidden ones far below the others.
    fn scores(&self, tile: &Range<usize>) -> Tensor<4> {
        let first = tile.start;
        let count = tile.len();
        let [_, _, keys, _] = self.k.dims();
        // Scaled before the product: f16 ends at 65504.
        let q = self.q.clone().narrow(2, first, count).mul_scalar(self.scale());
        let scores = self.product(q, self.k.clone().transpose());
        match self.mask {
            Mask::None => scores,
            Mask::Causal => {
                let hidden = (0..count * keys).map(|i| if i % keys > first + i / keys { -1e30f32 } else { 0.0 });
                let hidden = TensorData::new(hidden.collect(), [1, 1, count, keys]);
                scores + Tensor::<4>::from_data(hidden, &self.q.device())
            }
        }
    }
}

/// The output, and the logarithm of each row's sum, [B, heads, S, 1].
pub(crate) fn forward(of: &Attended) -> (Tensor<4>, Tensor<4>) {
    let mut outputs = Vec::new();
    let mut log_sums = Vec::new();
    for tile in of.tiles() {
        let scores = of.scores(&tile);
        let largest = scores.clone().max_dim(3);
        let log_sum = (scores.clone() - largest.clone()).exp().sum_dim(3).log() + largest;
        outputs.push(of.product(activation::softmax(scores, 3), of.v.clone()));
        log_sums.push(log_sum);
    }
    (joined(outputs), joined(log_sums))
}

/// dL/dq, dL/dk and dL/dv.
pub(crate) fn backward(of: &Attended, output: Tensor<4>, log_sum: Tensor<4>, dy: Tensor<4>) -> [Tensor<4>; 3] {
    let delta = (dy.clone() * output).sum_dim(3);
    let mut dq = Vec::new();
    let mut dk: Option<Tensor<4>> = None;
    let mut dv: Option<Tensor<4>> = None;
    for tile in of.tiles() {
        let cut = |x: &Tensor<4>| x.clone().narrow(2, tile.start, tile.len());
        let dy = cut(&dy);
        let p = (of.scores(&tile) - cut(&log_sum)).exp();
        let dp = of.product(dy.clone(), of.v.clone().transpose());
        let ds = (p.clone() * (dp - cut(&delta))).mul_scalar(of.scale());
        dq.push(of.product(ds.clone(), of.k.clone()));
        add(&mut dk, of.product(ds.transpose(), cut(&of.q)));
        add(&mut dv, of.product(p.transpose(), dy));
    }
    [joined(dq), dk.expect("there are queries"), dv.expect("there are queries")]
}

fn joined(mut tiles: Vec<Tensor<4>>) -> Tensor<4> {
    if tiles.len() == 1 { tiles.remove(0) } else { Tensor::cat(tiles, 2) }
}

fn add(sum: &mut Option<Tensor<4>>, part: Tensor<4>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + part,
        None => part,
    });
}
