//! From an image to what is added to a ControlNet's first convolution (diffusers' `ControlNetConditioningEmbedding`).

use burn::tensor::{Tensor, activation};
use lorabake_ops::{ConvShape, FrozenConv};

use crate::nn::Builder;

/// Convolutions with SiLU between; every second of those in the middle halves the image.
#[derive(Debug, Clone)]
pub(super) struct HintEmbedding(Vec<FrozenConv>);

impl HintEmbedding {
    /// `width` is that of the net's first level.
    pub fn build(b: &mut Builder<'_, '_>, width: usize) -> Self {
        let place = "controlnet_cond_embedding";
        let mut convs = Vec::new();
        let mut channels = 3;
        let mut conv = |b: &mut Builder<'_, '_>, layer: &str, stride: usize| {
            let path = format!("{place}.{layer}");
            let [outputs] = b.dims(&format!("{path}.weight"));
            let shape = ConvShape { stride, ..Builder::same(channels, outputs) };
            channels = outputs;
            b.frozen_conv(&path, shape)
        };
        convs.push(conv(b, "conv_in", 1));
        for index in 0..b.count(|i| format!("{place}.blocks.{i}.weight")) {
            convs.push(conv(b, &format!("blocks.{index}"), 1 + index % 2));
        }
        convs.push(b.frozen_conv(&format!("{place}.conv_out"), Builder::same(channels, width)));
        Self(convs)
    }

    /// # Shapes
    /// - image: [B, 3, 8·H, 8·W]
    /// - output: [B, C, H, W]
    pub fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = image;
        for (index, conv) in self.0.iter().enumerate() {
            x = conv.forward(if index == 0 { x } else { activation::silu(x) });
        }
        x
    }
}
