//! x · sigmoid(1.702 x), the activation that CLIP-L was trained with (OpenAI's CLIP), in one pass each way.

use std::sync::Arc;

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use crate::elementary::exp;
#[cfg(any(test, feature = "cube"))]
use crate::frozen_op::kept;
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::lanes::vectorized;
use crate::shared_output::written;

const SLOPE: f32 = 1.702;
/// Numbers of one task.
const PART: usize = 1 << 14;

/// x · sigmoid(1.702 x).
///
/// # Shapes
/// - x and output: any
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    apply(Arc::new(QuickGelu), x)
}

/// [`quick_gelu`] in Burn primitives.
///
/// # Shapes
/// - x and output: any
pub fn plain_quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * activation::sigmoid(x.mul_scalar(SLOPE))
}

#[cfg(test)]
pub(crate) fn op() -> Arc<dyn FrozenOp> {
    Arc::new(QuickGelu)
}

#[derive(Debug)]
struct QuickGelu;

#[inline(always)]
fn gate(x: f32) -> f32 {
    1.0 / (1.0 + exp(-SLOPE * x))
}

impl FrozenOp for QuickGelu {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, x: &[f32], _: &[usize]) -> Vec<f32> {
        let write = |y: &mut [f32]| {
            y.par_chunks_mut(PART).zip(x.par_chunks(PART)).for_each(|(y, x)| {
                vectorized!(y.iter_mut().zip(x).for_each(|(y, x)| *y = x * gate(*x)));
            });
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        SavedForBackward::Input
    }

    fn backward(&self, x: &[f32], _: &[usize], dy: &[f32]) -> Vec<f32> {
        let write = |dx: &mut [f32]| {
            dx.par_chunks_mut(PART).zip(x.par_chunks(PART)).zip(dy.par_chunks(PART)).for_each(|((dx, x), dy)| {
                vectorized!({
                    dx.iter_mut().zip(x).zip(dy).for_each(|((dx, x), dy)| {
                        let gate = gate(*x);
                        *dx = dy * gate * (1.0 + SLOPE * x * (1.0 - gate));
                    });
                });
            });
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        plain_quick_gelu(x)
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, x: Option<Tensor<4>>, _: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let x = kept(x);
        let gate = activation::sigmoid(x.clone().mul_scalar(SLOPE));
        let slope = (-gate.clone() + 1.0) * x.mul_scalar(SLOPE) + 1.0;
        dy * gate * slope
    }
}
