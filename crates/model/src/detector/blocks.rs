//! What YOLOv8 is made of (Jocher et al., ultralytics; names as there).

use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, activation};
use lorabake_ops::{ConvShape, FrozenConv};

use crate::nn::Builder;

/// ε of every batch norm.
const EPSILON: f32 = 1e-3;

/// A convolution with its batch norm, then SiLU.
#[derive(Debug, Clone)]
pub(super) struct Conv(FrozenConv);

impl Conv {
    /// Reads the layer at `path`, whose kernel and channels come from the file. Its norm may be in the convolution already.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, inputs: usize, stride: usize) -> Self {
        let conv = format!("{path}.conv");
        let [outputs, _, kernel] = b.dims(&format!("{conv}.weight"));
        // Another kernel than these is a misfit.
        let kernel = if kernel == 1 { 1 } else { 3 };
        let shape = ConvShape { inputs, outputs, kernel, stride, padding: kernel / 2 };
        if b.has(&format!("{conv}.bias")) || !b.has(&format!("{path}.bn.weight")) {
            return Self(b.frozen_conv(&conv, shape));
        }
        let mut vector = |name: &str| b.vector(&format!("{path}.bn.{name}"), outputs);
        let gamma = vector("weight");
        let beta = vector("bias");
        let mean = vector("running_mean");
        let variance = vector("running_var");
        let mut factors = Vec::new();
        let mut bias = Vec::new();
        for channel in 0..outputs {
            let factor = gamma[channel] / (variance[channel] + EPSILON).sqrt();
            factors.push(factor);
            bias.push(beta[channel] - mean[channel] * factor);
        }
        Self(b.conv_times(&conv, shape, factors, bias))
    }

    /// Channels of its output.
    pub fn outputs(&self) -> usize {
        self.0.shape().outputs
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H / stride, W / stride]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        activation::silu(self.0.forward(x))
    }
}

/// Two convolutions, with a skip or without.
#[derive(Debug, Clone)]
struct Bottleneck {
    cv1: Conv,
    cv2: Conv,
}

/// Half of the channels go through a row of bottlenecks, whose outputs are all kept.
#[derive(Debug, Clone)]
pub(super) struct C2f {
    cv1: Conv,
    m: Vec<Bottleneck>,
    cv2: Conv,
    /// Whether bottlenecks add their input.
    adds: bool,
}

impl C2f {
    /// Reads the block at `path`; `adds` if its bottlenecks add their input.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, inputs: usize, adds: bool) -> Self {
        let cv1 = Conv::build(b, &format!("{path}.cv1"), inputs, 1);
        let half = cv1.outputs() / 2;
        let mut m: Vec<Bottleneck> = Vec::new();
        let mut inputs = half;
        for index in 0..b.count(|i| format!("{path}.m.{i}.cv1.conv.weight")) {
            let own = format!("{path}.m.{index}");
            let first = Conv::build(b, &format!("{own}.cv1"), inputs, 1);
            let second = Conv::build(b, &format!("{own}.cv2"), first.outputs(), 1);
            inputs = second.outputs();
            m.push(Bottleneck { cv1: first, cv2: second });
        }
        let pieces = 2 * half + m.iter().map(|own| own.cv2.outputs()).sum::<usize>();
        let cv2 = Conv::build(b, &format!("{path}.cv2"), pieces, 1);
        Self { cv1, m, cv2, adds }
    }

    /// Channels of its output.
    pub fn outputs(&self) -> usize {
        self.cv2.outputs()
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H, W]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.cv1.forward(x);
        let half = self.cv1.outputs() / 2;
        let mut pieces = vec![x.clone().narrow(1, 0, half), x.narrow(1, half, half)];
        for Bottleneck { cv1, cv2 } in &self.m {
            let last = pieces[pieces.len() - 1].clone();
            let y = cv2.forward(cv1.forward(last.clone()));
            pieces.push(if self.adds && y.dims() == last.dims() { last + y } else { y });
        }
        self.cv2.forward(Tensor::cat(pieces, 1))
    }
}

/// Three poolings in a row, all kept.
#[derive(Debug, Clone)]
pub(super) struct Sppf {
    cv1: Conv,
    cv2: Conv,
}

impl Sppf {
    /// Reads the block at `path`.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, inputs: usize) -> Self {
        let cv1 = Conv::build(b, &format!("{path}.cv1"), inputs, 1);
        let cv2 = Conv::build(b, &format!("{path}.cv2"), 4 * cv1.outputs(), 1);
        Self { cv1, cv2 }
    }

    /// Channels of its output.
    pub fn outputs(&self) -> usize {
        self.cv2.outputs()
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H, W]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut pieces = vec![self.cv1.forward(x)];
        for pool in 0..3 {
            let options = MaxPoolOptions::new([5, 5]).with_stride([1, 1]).with_padding([2, 2]);
            pieces.push(max_pool2d(pieces[pool].clone(), options));
        }
        self.cv2.forward(Tensor::cat(pieces, 1))
    }
}
