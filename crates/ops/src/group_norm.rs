//! Group normalization with frozen scale and shift, fused with SiLU; the tape keeps the input only, in bf16 where
//! weights are held in less than 32 bits.
//!
//! Wu and He 2018. Mean and variance of a group are recomputed in the backward pass: reading the input twice is cheaper
//! than keeping the normalized copy.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, activation};
use rayon::prelude::*;

#[cfg(any(test, feature = "cube"))]
use crate::device::normalize_backward;
use crate::device::{FrozenVector, normalize};
use crate::elementary::sigmoid;
use crate::frozen::WeightDtype;
#[cfg(any(test, feature = "cube"))]
use crate::frozen_op::kept;
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::lanes::{sum, sum_of_two, vectorized};
use crate::shared_output::written;

/// What follows the normalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// x · sigmoid(x).
    Silu,
}

/// What a norm does to the numbers of one channel: x · scale + shift.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    pub scale: f32,
    pub shift: f32,
}

/// A frozen group norm.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    pub(crate) gamma: Arc<FrozenVector>,
    pub(crate) beta: Arc<FrozenVector>,
    pub(crate) groups: usize,
    pub(crate) epsilon: f32,
    saved: SavedForBackward,
}

impl GroupNorm {
    /// `gamma` and `beta` have one number per channel.
    pub fn new(gamma: Vec<f32>, beta: Vec<f32>, groups: usize, epsilon: f32) -> Self {
        assert!(gamma.len() == beta.len() && gamma.len().is_multiple_of(groups));
        let gamma = Arc::new(FrozenVector::new(gamma));
        let beta = Arc::new(FrozenVector::new(beta));
        Self { gamma, beta, groups, epsilon, saved: SavedForBackward::Input }
    }

    /// The norm beside layers whose weights are held in `dtype`: in less than 32 bits, the tape holds x in bf16.
    pub fn beside(self, dtype: WeightDtype) -> Self {
        Self { saved: SavedForBackward::beside(dtype), ..self }
    }

    /// The norm with other scales and shifts: what is added to those of each channel.
    pub fn changed(&self, scale: &[f32], shift: Option<&[f32]>) -> Self {
        let gamma = Arc::new(self.gamma.plus(scale));
        let beta = shift.map_or_else(|| self.beta.clone(), |shift| Arc::new(self.beta.plus(shift)));
        Self { gamma, beta, ..self.clone() }
    }

    /// The norm, then the activation.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        apply(Arc::new(Normalize { norm: self.clone(), activation }), x)
    }

    /// What the norm of one image does to the numbers of each channel.
    pub(crate) fn affine(&self, x: &[f32]) -> Vec<Affine> {
        let channels = self.gamma.len() / self.groups;
        let moments: Vec<_> =
            x.par_chunks_exact(x.len() / self.groups).map(|group| vectorized!(moments(group, self.epsilon))).collect();
        let mut each = Vec::with_capacity(self.gamma.len());
        for (channel, (gamma, beta)) in self.gamma.iter().zip(self.beta.iter()).enumerate() {
            let (mean, rstd) = moments[channel / channels];
            each.push(Affine { scale: gamma * rstd, shift: beta - mean * gamma * rstd });
        }
        each
    }

    /// What the norm of one image multiplies the numbers of each channel by and adds to them, on a device, from mean and
    /// mean square deviation of each channel.
    ///
    /// # Shapes
    /// - mean, variance and both outputs: [1, 1, 1, C]
    pub(crate) fn affine_on_device(&self, [mean, variance]: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let device = mean.device();
        let channels = self.gamma.len();
        let grouped = [1, 1, self.groups, channels / self.groups];
        let each = |x: Tensor<4>| x.expand(grouped).reshape([1, 1, 1, channels]);
        let of_channels = mean.reshape(grouped);
        let mean = of_channels.clone().mean_dim(3);
        let variance = (variance.reshape(grouped) + (of_channels - mean.clone()).square()).mean_dim(3);
        let rstd = (variance + self.epsilon).sqrt().recip();
        let [gamma, beta] = [&self.gamma, &self.beta].map(|v| v.tensor(&device).reshape([1, 1, 1, channels]));
        let scale = gamma * each(rstd);
        let shift = beta - each(mean) * scale.clone();
        [scale, shift]
    }

    #[cfg(test)]
    pub(crate) fn op(&self, activation: Activation) -> Arc<dyn FrozenOp> {
        Arc::new(Normalize { norm: self.clone(), activation })
    }

    /// [`forward`](Self::forward) in Burn primitives.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn plain_forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        Normalize { norm: self.clone(), activation }.forward_on_device(x)
    }
}

#[derive(Debug)]
struct Normalize {
    norm: GroupNorm,
    activation: Activation,
}

impl Normalize {
    /// [B, C, H, W] -> [B, groups, numbers of a group].
    fn grouped(&self, x: Tensor<4>) -> Tensor<3> {
        let [b, c, h, w] = x.dims();
        let groups = self.norm.groups;
        x.reshape([b, groups, c / groups * h * w])
    }

    /// Scaled and shifted channel by channel.
    fn affine(&self, normal: Tensor<4>, device: &Device) -> Tensor<4> {
        let channels = [1, normal.dims()[1], 1, 1];
        let [gamma, beta] = [&self.norm.gamma, &self.norm.beta].map(|v| v.tensor(device).reshape(channels));
        normal * gamma + beta
    }

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
    fn group_backward(&self, first: usize, plane: usize, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (mean, rstd) = moments(x, self.norm.epsilon);
        // dx holds dL/dx̂ until both of its sums over the group are known.
        let rows = dx.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).zip(dy.chunks_exact(plane));
        for (channel, ((dx, x), dy)) in rows.enumerate() {
            let gamma = self.norm.gamma[first + channel];
            let beta = self.norm.beta[first + channel];
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
    let mean = (sum(x, |x| x) / x.len() as f64) as f32;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / x.len() as f64;
    (mean, (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32)
}

impl FrozenOp for Normalize {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let (channels, plane) = self.group(shape);
        let write = |y: &mut [f32]| {
            y.par_chunks_mut(channels * plane).zip(x.par_chunks(channels * plane)).enumerate().for_each(
                |(index, (y, x))| {
                    vectorized!(self.group_forward(index % self.norm.groups * channels, plane, x, y));
                },
            );
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        self.norm.saved
    }

    fn backward(&self, x: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let (channels, plane) = self.group(shape);
        let size = channels * plane;
        let write = |dx: &mut [f32]| {
            dx.par_chunks_mut(size).zip(x.par_chunks(size)).zip(dy.par_chunks(size)).enumerate().for_each(
                |(index, ((dx, x), dy))| {
                    vectorized!(self.group_backward(index % self.norm.groups * channels, plane, x, dy, dx));
                },
            );
        };
        // SAFETY: every number is written.
        unsafe { written(x.len(), write) }
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let shape = x.dims();
        let (normal, _) = normalize(self.grouped(x), self.norm.epsilon);
        let y = self.affine(normal.reshape(shape), &device);
        match self.activation {
            Activation::None => y,
            Activation::Silu => activation::silu(y),
        }
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, x: Option<Tensor<4>>, shape: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let device = dy.device();
        let channels = [1, shape[1], 1, 1];
        let (normal, rstd) = normalize(self.grouped(kept(x)), self.norm.epsilon);
        let dy = match self.activation {
            Activation::None => dy,
            Activation::Silu => {
                let z = self.affine(normal.clone().reshape(shape), &device);
                let s = activation::sigmoid(z.clone());
                dy * s.clone() * (z * (s.neg() + 1.0) + 1.0)
            }
        };
        let dy = self.grouped(dy * self.norm.gamma.tensor(&device).reshape(channels));
        normalize_backward(normal, rstd, dy).reshape(shape)
    }
}

/// From dL/dx̂ to dL/dx for x̂ = (x − mean) · rstd, in place.
#[inline(always)]
pub(crate) fn center(dx: &mut [f32], x: &[f32], mean: f32, rstd: f32) {
    let count = x.len().min(dx.len());
    let (dx, x) = (&mut dx[..count], &x[..count]);
    let average = (sum(dx, |dx| dx) / count as f64) as f32;
    let along = (sum_of_two(dx, x, |dx, x| dx * (x - mean) * rstd) / count as f64) as f32;
    dx.iter_mut().zip(x).for_each(|(d, x)| *d = rstd * (*d - average - (x - mean) * rstd * along));
}
