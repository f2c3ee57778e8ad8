//! From features to boxes: each cell says how far the four sides are, as a distribution over 16 distances, and how likely
//! each class is there (Li et al. 2020, "Generalized Focal Loss"; ultralytics' `Detect`).

use burn::tensor::Tensor;
use lorabake_ops::FrozenConv;

use super::Candidate;
use super::blocks::Conv;
use crate::nn::Builder;

/// Distances in a distribution.
const BINS: usize = 16;
/// Sides of a box.
const SIDES: usize = 4;

/// The head of one level.
#[derive(Debug, Clone)]
pub(super) struct Head {
    boxes: Branch,
    classes: Branch,
    /// Pixels of the input to a cell.
    stride: usize,
}

/// Two convolutions and a last one of 1×1.
#[derive(Debug, Clone)]
struct Branch {
    first: Conv,
    second: Conv,
    last: FrozenConv,
}

impl Branch {
    fn build(b: &mut Builder<'_, '_>, path: &str, inputs: usize, outputs: usize) -> Self {
        let first = Conv::build(b, &format!("{path}.0"), inputs, 1);
        let second = Conv::build(b, &format!("{path}.1"), first.outputs(), 1);
        let last = b.frozen_conv(&format!("{path}.2"), Builder::pointwise(second.outputs(), outputs));
        Self { first, second, last }
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H, W]
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.last.forward(self.second.forward(self.first.forward(x)))
    }
}

impl Head {
    /// Reads the head of this level.
    pub fn build(b: &mut Builder<'_, '_>, level: usize, inputs: usize) -> Self {
        let [classes] = b.dims(&format!("model.22.cv3.{level}.2.weight"));
        Self {
            boxes: Branch::build(b, &format!("model.22.cv2.{level}"), inputs, SIDES * BINS),
            classes: Branch::build(b, &format!("model.22.cv3.{level}"), inputs, classes),
            stride: 8 << level,
        }
    }

    /// How many classes it tells apart.
    pub fn classes(&self) -> usize {
        self.classes.last.shape().outputs
    }

    /// Distances, then classes, before they are understood.
    ///
    /// # Shapes
    /// - x: [1, C, H, W]
    /// - output: [1, 64 + classes, H, W]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        Tensor::cat(vec![self.boxes.forward(x.clone()), self.classes.forward(x)], 1)
    }

    /// What the cells say, row by row.
    ///
    /// # Shapes
    /// - raw: [1, 64 + classes, H, W]
    pub fn candidates(&self, raw: Tensor<4>) -> Vec<Candidate> {
        let [_, channels, height, width] = raw.dims();
        let raw: Vec<f32> = raw.into_data().try_into_vec().expect("the network computes in f32");
        let cells = height * width;
        let stride = self.stride as f32;
        let mut candidates = Vec::with_capacity(cells);
        for cell in 0..cells {
            let mut sides = [0.0; SIDES];
            for (index, side) in sides.iter_mut().enumerate() {
                let mut bins = [0.0; BINS];
                for (bin, value) in bins.iter_mut().enumerate() {
                    *value = raw[(index * BINS + bin) * cells + cell];
                }
                *side = expectation(bins);
            }
            let [left, top, right, bottom] = sides;
            let x = (cell % width) as f32 + 0.5;
            let y = (cell / width) as f32 + 0.5;
            let mut scores = Vec::with_capacity(channels - SIDES * BINS);
            for class in SIDES * BINS..channels {
                scores.push(1.0 / (1.0 + (-raw[class * cells + cell]).exp()));
            }
            candidates.push(Candidate {
                center: [(x + (right - left) / 2.0) * stride, (y + (bottom - top) / 2.0) * stride],
                size: [(left + right) * stride, (top + bottom) * stride],
                scores,
            });
        }
        candidates
    }
}

/// The mean of 0, 1, … under the softmax of `bins`.
fn expectation(bins: [f32; BINS]) -> f32 {
    let largest = bins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    let mut mean = 0.0;
    for (distance, value) in bins.iter().enumerate() {
        let weight = (value - largest).exp();
        sum += weight;
        mean += weight * distance as f32;
    }
    mean / sum
}
