//! Attention in tiles of queries (Dao et al. 2022): of the scores, as much exists at a time as one tile needs.

use burn::tensor::{DType, Tensor, TensorData, activation};

use super::in_precision_of;
use crate::attention::Mask;

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

    /// First query and count of each tile.
    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let ([batch, heads, queries, _], keys) = (self.q.dims(), self.k.dims()[2]);
        let step = (self.scores / (batch * heads * keys)).clamp(1, queries);
        (0..queries).step_by(step).map(move |first| (first, step.min(queries - first)))
    }

    /// a·b in the attention's precision, [B, heads, ..].
    fn product(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        let dtype = self.dtype;
        let b = if dtype == DType::F32 { b } else { b.cast(dtype) };
        in_precision_of(dtype, a, |a| a.matmul(b))
    }

    /// Scaled scores of a tile, hidden ones far below the others.
    fn scores(&self, (first, count): (usize, usize)) -> Tensor<4> {
        let keys = self.k.dims()[2];
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
    let (mut outputs, mut log_sums) = (Vec::new(), Vec::new());
    for tile in of.tiles() {
        let scores = of.scores(tile);
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
    let (mut dq, mut dk, mut dv): (_, Option<Tensor<4>>, Option<Tensor<4>>) = (Vec::new(), None, None);
    for tile in of.tiles() {
        let cut = |x: &Tensor<4>| x.clone().narrow(2, tile.0, tile.1);
        let (dy, p) = (cut(&dy), (of.scores(tile) - cut(&log_sum)).exp());
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
