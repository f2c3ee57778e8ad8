//! GEGLU (Shazeer 2020): the first half of the columns times GELU of the second; exact erf form both ways.

use std::sync::Arc;

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use crate::elementary::{erf, exp};
use crate::frozen::WeightDtype;
#[cfg(any(test, feature = "cube"))]
use crate::frozen_op::kept;
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::lanes::vectorized;
use crate::shared_output::written;

/// GEGLU of x. Beside layers whose weights are held in less than 32 bits, the tape holds x in bf16.
///
/// # Shapes
/// - x: [.., 2·D]
/// - output: [.., D]
pub fn geglu<const D: usize>(x: Tensor<D>, dtype: WeightDtype) -> Tensor<D> {
    apply(Arc::new(Geglu { saved: SavedForBackward::beside(dtype) }), x)
}

/// [`geglu`] in Burn primitives.
///
/// # Shapes
/// - x: [.., 2·D]
/// - output: [.., D]
pub fn plain_geglu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let [value, gate]: [Tensor<D>; 2] = x.chunk(2, D - 1).try_into().expect("two halves");
    value * activation::gelu(gate)
}

#[cfg(test)]
pub(crate) fn op() -> Arc<dyn FrozenOp> {
    Arc::new(Geglu { saved: SavedForBackward::Input })
}

#[derive(Debug)]
struct Geglu {
    saved: SavedForBackward,
}

/// 1 / √(2π)
const DENSITY: f32 = 0.398_942_3;

/// Cumulative distribution of the standard normal.
#[inline(always)]
fn cdf(x: f32) -> f32 {
    0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

fn half(shape: &[usize]) -> usize {
    shape[shape.len() - 1] / 2
}

impl FrozenOp for Geglu {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        let mut shape = input.to_vec();
        shape[input.len() - 1] = half(input);
        shape
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let width = half(shape);
        let write = |y: &mut [f32]| {
            y.par_chunks_mut(width).zip(x.par_chunks(2 * width)).for_each(|(y, x)| {
                let (value, gate) = x.split_at(width);
                vectorized!(y.iter_mut().zip(value).zip(gate).for_each(|((y, v), g)| *y = v * g * cdf(*g)));
            });
        };
        // SAFETY: every number is written.
        unsafe { written(x.len() / 2, write) }
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        self.saved
    }

    fn backward(&self, x: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let width = half(shape);
        let write = |dx: &mut [f32]| {
            dx.par_chunks_mut(2 * width).zip(x.par_chunks(2 * width)).zip(dy.par_chunks(width)).for_each(
                |((dx, x), dy)| {
                    let ((value, gate), (dvalue, dgate)) = (x.split_at(width), dx.split_at_mut(width));
                    // dvalue holds the distribution until dgate has been made of it: loops over few slices are those that
                    // the compiler makes vectors of.
                    vectorized!({
                        dvalue.iter_mut().zip(gate).for_each(|(c, g)| *c = cdf(*g));
                        let slopes = dgate.iter_mut().zip(&*dvalue).zip(gate);
                        slopes.for_each(|((slope, c), g)| *slope = c + g * DENSITY * exp(-0.5 * g * g));
                        dgate.iter_mut().zip(value).zip(dy).for_each(|((slope, v), dy)| *slope *= dy * v);
                        dvalue.iter_mut().zip(gate).zip(dy).for_each(|((c, g), dy)| *c *= dy * g);
                    });
                },
            );
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        plain_geglu(x)
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, x: Option<Tensor<4>>, _: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let [value, gate]: [Tensor<4>; 2] = kept(x).chunk(2, 3).try_into().expect("two halves");
        let cdf = (gate.clone().mul_scalar(std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0).mul_scalar(0.5);
        let density = gate.clone().square().mul_scalar(-0.5).exp().mul_scalar(DENSITY);
        let dvalue = dy.clone() * gate.clone() * cdf.clone();
        let dgate = dy * value * (cdf + gate * density);
        Tensor::cat(vec![dvalue, dgate], 3)
    }
}
