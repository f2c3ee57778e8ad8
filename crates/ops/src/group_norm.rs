//! Group normalization with frozen scale and shift, fused with SiLU; the tape keeps the input only.
//!
//! Wu and He 2018. Mean and variance of a group are recomputed in the backward pass: reading the input twice is cheaper
//! than keeping the normalized copy.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, activation};
use rayon::prelude::*;

use crate::elementary::sigmoid;
use crate::frozen_op::{FrozenOp, apply};
use crate::lanes::{sum, vectorized};

/// What follows the normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// x · sigmoid(x).
    Silu,
}

/// A frozen group norm.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    gamma: Arc<Vec<f32>>,
    beta: Arc<Vec<f32>>,
    groups: usize,
    epsilon: f32,
}

impl GroupNorm {
    /// `gamma` and `beta` have one number per channel.
    pub fn new(gamma: Vec<f32>, beta: Vec<f32>, groups: usize, epsilon: f32) -> Self {
        assert!(gamma.len() == beta.len() && gamma.len().is_multiple_of(groups));
        Self { gamma: Arc::new(gamma), beta: Arc::new(beta), groups, epsilon }
    }

    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        apply(Arc::new(Normalize { norm: self.clone(), activation }), x)
    }

    /// What the norm of one image multiplies the numbers of each channel by, and adds to them.
    pub(crate) fn affine(&self, x: &[f32]) -> Vec<(f32, f32)> {
        let channels = self.gamma.len() / self.groups;
        let moments: Vec<_> = x
            .par_chunks_exact(x.len() / self.groups)
            .map(|group| vectorized(|| moments(group, self.epsilon)))
            .collect();
        let each = self.gamma.iter().zip(self.beta.iter()).enumerate();
        each.map(|(channel, (gamma, beta))| {
            let (mean, rstd) = moments[channel / channels];
            (gamma * rstd, beta - mean * gamma * rstd)
        })
        .collect()
    }

    /// The same in Burn primitives.
    pub fn plain(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let device = x.device();
        let affine = |v: &[f32]| Tensor::<4>::from_data(TensorData::new(v.to_vec(), [1, c, 1, 1]), &device);
        let x = x.reshape([b, self.groups, c / self.groups * h * w]);
        let x = x.clone() - x.mean_dim(2);
        let x = x.clone() / (x.square().mean_dim(2) + self.epsilon).sqrt();
        let y = x.reshape([b, c, h, w]) * affine(&self.gamma) + affine(&self.beta);
        match activation {
            Activation::None => y,
            Activation::Silu => activation::silu(y),
        }
    }
}

#[derive(Debug)]
struct Normalize {
    norm: GroupNorm,
    activation: Activation,
}

impl Normalize {
    /// (channels per group, numbers per channel).
    fn group(&self, shape: &[usize]) -> (usize, usize) {
        assert_eq!(shape[1], self.norm.gamma.len(), "channels of a group norm");
        (shape[1] / self.norm.groups, shape[2] * shape[3])
    }

    /// One group, whose first channel is `first`.
    #[inline(always)]
    fn group_forward(&self, first: usize, plane: usize, x: &[f32], y: &mut [f32]) {
        let (mean, rstd) = moments(x, self.norm.epsilon);
        for (channel, (y, x)) in y.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).enumerate() {
            let scale = self.norm.gamma[first + channel] * rstd;
            let shift = self.norm.beta[first + channel] - mean * scale;
            let pairs = y.iter_mut().zip(x);
            match self.activation {
                Activation::None => pairs.for_each(|(y, x)| *y = x * scale + shift),
                Activation::Silu => pairs.for_each(|(y, x)| {
                    let z = x * scale + shift;
                    *y = z * sigmoid(z);
                }),
            }
        }
    }

    /// The gradient of one group, whose first channel is `first`.
    #[inline(always)]
    fn group_backward(&self, first: usize, plane: usize, (x, dy): (&[f32], &[f32]), dx: &mut [f32]) {
        let (mean, rstd) = moments(x, self.norm.epsilon);
        // dx holds dL/dx̂ until both of its sums over the group are known.
        let rows = dx.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).zip(dy.chunks_exact(plane));
        for (channel, ((dx, x), dy)) in rows.enumerate() {
            let (gamma, beta) = (self.norm.gamma[first + channel], self.norm.beta[first + channel]);
            let triples = dx.iter_mut().zip(x).zip(dy);
            match self.activation {
                Activation::None => triples.for_each(|((dx, _), dy)| *dx = dy * gamma),
                Activation::Silu => triples.for_each(|((dx, x), dy)| {
                    let z = (x - mean) * rstd * gamma + beta;
                    let s = sigmoid(z);
                    *dx = dy * s * (1.0 + z * (1.0 - s)) * gamma;
                }),
            }
        }
        center(dx, x, mean, rstd);
    }
}

/// Mean and 1/√(variance + ε).
#[inline(always)]
pub(crate) fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let mean = (sum(x.len(), |i| x[i]) / x.len() as f64) as f32;
    let variance = sum(x.len(), |i| (x[i] - mean) * (x[i] - mean)) / x.len() as f64;
    (mean, (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32)
}

impl FrozenOp for Normalize {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let (channels, plane) = self.group(shape);
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(channels * plane).zip(x.par_chunks(channels * plane)).enumerate().for_each(
            |(index, (y, x))| {
                vectorized(|| self.group_forward(index % self.norm.groups * channels, plane, x, y));
            },
        );
        y
    }

    fn keeps_input(&self) -> bool {
        true
    }

    fn backward(&self, x: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let (channels, plane) = self.group(shape);
        let size = channels * plane;
        let mut dx = vec![0.0; x.len()];
        dx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(dy.par_chunks(size)).enumerate().for_each(
            |(index, ((dx, x), dy))| {
                vectorized(|| self.group_backward(index % self.norm.groups * channels, plane, (x, dy), dx));
            },
        );
        dx
    }
}

/// From dL/dx̂ to dL/dx for x̂ = (x − mean) · rstd, in place.
#[inline(always)]
pub(crate) fn center(dx: &mut [f32], x: &[f32], mean: f32, rstd: f32) {
    let count = x.len().min(dx.len());
    let (dx, x) = (&mut dx[..count], &x[..count]);
    let average = (sum(count, |i| dx[i]) / count as f64) as f32;
    let along = (sum(count, |i| dx[i] * (x[i] - mean) * rstd) / count as f64) as f32;
    dx.iter_mut().zip(x).for_each(|(d, x)| *d = rstd * (*d - average - (x - mean) * rstd * along));
}
