//! Layer normalization with frozen scale and shift (Ba et al. 2016); the tape keeps the input only.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

#[cfg(any(test, feature = "cube"))]
use crate::device::normalize_backward;
use crate::device::{FrozenVector, normalize};
use crate::frozen::WeightDtype;
#[cfg(any(test, feature = "cube"))]
use crate::frozen_op::kept;
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::group_norm::{center, moments};
use crate::lanes::vectorized;
use crate::shared_output::written;

/// A frozen layer norm over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm(pub(crate) Arc<Normalize>);

#[derive(Debug)]
pub(crate) struct Normalize {
    pub gamma: FrozenVector,
    pub beta: FrozenVector,
    pub epsilon: f32,
    saved: SavedForBackward,
}

impl LayerNorm {
    /// `gamma` and `beta` have one number per column. Beside layers whose weights are held in less than 32 bits, the tape
    /// holds x in bf16.
    pub fn new(gamma: Vec<f32>, beta: Vec<f32>, epsilon: f32, dtype: WeightDtype) -> Self {
        assert_eq!(gamma.len(), beta.len());
        let gamma = FrozenVector::new(gamma);
        let beta = FrozenVector::new(beta);
        Self(Arc::new(Normalize { gamma, beta, epsilon, saved: SavedForBackward::beside(dtype) }))
    }

    /// The norm with other scales and shifts: what is added to those of each column.
    pub fn changed(&self, scale: &[f32], shift: Option<&[f32]>) -> Self {
        let Normalize { gamma, beta, epsilon, saved } = &*self.0;
        let gamma = gamma.plus(scale);
        let beta = shift.map_or_else(|| beta.plus(&[]), |shift| beta.plus(shift));
        Self(Arc::new(Normalize { gamma, beta, epsilon: *epsilon, saved: *saved }))
    }

    /// The norm of each row.
    ///
    /// # Shapes
    /// - x and output: [.., D]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        apply(self.0.clone(), x)
    }

    #[cfg(test)]
    pub(crate) fn op(&self) -> Arc<dyn FrozenOp> {
        self.0.clone()
    }

    /// [`forward`](Self::forward) in Burn primitives.
    ///
    /// # Shapes
    /// - x and output: [M, D]
    pub fn plain_forward(&self, x: Tensor<2>) -> Tensor<2> {
        let shape = x.dims();
        self.0.forward_on_device(x.unsqueeze()).reshape(shape)
    }
}

impl FrozenOp for Normalize {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        assert_eq!(input.last(), Some(&self.gamma.len()), "width of a layer norm");
        input.to_vec()
    }

    fn forward(&self, x: &[f32], _: &[usize]) -> Vec<f32> {
        let width = self.gamma.len();
        let write = |y: &mut [f32]| {
            y.par_chunks_mut(width).zip(x.par_chunks(width)).for_each(|(y, x)| {
                vectorized!({
                    let (mean, rstd) = moments(x, self.epsilon);
                    for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(&*self.gamma).zip(&*self.beta) {
                        *y = (x - mean) * rstd * gamma + beta;
                    }
                });
            });
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        self.saved
    }

    fn backward(&self, x: &[f32], _: &[usize], dy: &[f32]) -> Vec<f32> {
        let width = self.gamma.len();
        let write = |dx: &mut [f32]| {
            dx.par_chunks_mut(width).zip(x.par_chunks(width)).zip(dy.par_chunks(width)).for_each(|((dx, x), dy)| {
                vectorized!({
                    let (mean, rstd) = moments(x, self.epsilon);
                    dx.iter_mut().zip(dy).zip(&*self.gamma).for_each(|((dx, dy), gamma)| *dx = dy * gamma);
                    center(dx, x, mean, rstd);
                });
            });
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let (normal, _) = normalize(x, self.epsilon);
        normal * self.gamma.tensor(&device).unsqueeze() + self.beta.tensor(&device).unsqueeze()
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, x: Option<Tensor<4>>, _: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let (normal, rstd) = normalize(kept(x), self.epsilon);
        let dy = dy.clone() * self.gamma.tensor(&dy.device()).unsqueeze();
        normalize_backward(normal, rstd, dy)
    }
}
