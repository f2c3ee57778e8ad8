//! The residual blocks of RRDBNet, whose convolutions each see the outputs of all before.

use burn::tensor::{Tensor, activation};
use lorabake_ops::FrozenConv;

use crate::nn::Builder;

/// Slope of the activation below zero.
pub(super) const SLOPE: f64 = 0.2;
/// How much of a block's own output is added to its input.
const SHARE: f64 = 0.2;
/// Convolutions of a dense block.
const CONVS: usize = 5;

/// Three dense blocks and a residual around them.
#[derive(Debug, Clone)]
pub(super) struct Block([DenseBlock; 3]);

/// Five convolutions.
#[derive(Debug, Clone)]
struct DenseBlock(Vec<FrozenConv>);

impl Block {
    /// Reads the block at `path`, of `width` channels.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, width: usize) -> Self {
        Self([1, 2, 3].map(|index| DenseBlock::build(b, &format!("{path}.rdb{index}"), width)))
    }

    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut y = x.clone();
        for dense in &self.0 {
            y = dense.forward(y);
        }
        x + y.mul_scalar(SHARE)
    }
}

impl DenseBlock {
    fn build(b: &mut Builder<'_, '_>, path: &str, width: usize) -> Self {
        let [growth] = b.dims(&format!("{path}.conv1.weight"));
        let mut convs = Vec::new();
        for index in 0..CONVS {
            let outputs = if index + 1 == CONVS { width } else { growth };
            let shape = Builder::same(width.saturating_add(index * growth), outputs);
            convs.push(b.frozen_conv(&format!("{path}.conv{}", index + 1), shape));
        }
        Self(convs)
    }

    /// # Shapes
    /// - x and output: [B, C, H, W]
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut seen = x.clone();
        for (index, conv) in self.0.iter().enumerate() {
            let y = conv.forward(seen.clone());
            if index + 1 == CONVS {
                return x + y.mul_scalar(SHARE);
            }
            seen = Tensor::cat(vec![seen, activation::leaky_relu(y, SLOPE)], 1);
        }
        x
    }
}
