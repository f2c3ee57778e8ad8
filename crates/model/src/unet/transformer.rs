//! Spatial transformer: self-attention, cross-attention to the text, gated feed-forward.

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::{Activation, Mask, attention, geglu, transpose};

use lorabake_weights::Family;

use super::condition::Condition;
use crate::nn::{Builder, GroupNorm, LayerNorm, Linear};

/// SD1.x has eight heads at every level.
const HEADS: usize = 8;
/// Heads of SD2.x and SDXL are this wide at every level.
const HEAD_WIDTH: usize = 64;

/// The number of heads of a transformer of `channels`. Toys of SD2.x and SDXL are too narrow for their heads: there they are as wide
/// as a quarter of the first level.
fn heads(b: &Builder<'_, '_>, channels: usize) -> usize {
    let [first] = b.dims("conv_in.weight");
    match b.loader.family() {
        Family::Sd1 => HEADS,
        _ if first % HEAD_WIDTH == 0 => channels / HEAD_WIDTH,
        _ => channels / (first / 4).max(1),
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<BasicTransformerBlock>,
    proj_out: Linear,
}

/// The projection between channels and tokens. In SDXL it is a linear layer. SD1.x has a 1×1 convolution there, and so has SD2.x
/// (whose files have matrices, but sd-scripts makes convolutions of them): adapters are those of a convolution, and it is
/// computed on tokens all the same, as one product with its adapter.
fn projection(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Linear {
    match b.loader.family() {
        Family::Sdxl => b.linear(path, [channels, channels], Role::Transformer),
        _ => b.pointwise_linear(path, [channels, channels], Role::Transformer),
    }
}

impl Transformer {
    pub fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Self {
        let depth = b.count(|i| format!("{path}.transformer_blocks.{i}.norm1.weight"));
        let norm = b.group_norm(&format!("{path}.norm"), channels, 1e-6);
        let proj_in = projection(b, &format!("{path}.proj_in"), channels);
        let mut transformer_blocks = Vec::new();
        for index in 0..depth {
            let path = format!("{path}.transformer_blocks.{index}");
            transformer_blocks.push(BasicTransformerBlock::build(b, &path, channels));
        }
        let proj_out = projection(b, &format!("{path}.proj_out"), channels);
        Self { norm, proj_in, transformer_blocks, proj_out }
    }

    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>, condition: &Condition<'_>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let normed = self.norm.forward(x.clone(), Activation::None, condition.adapters);
        let tokens = transpose(normed.reshape([b, c, h * w]));
        let mut tokens = self.proj_in.forward(tokens, condition.adapters);
        for block in &self.transformer_blocks {
            tokens = block.forward(tokens, condition);
        }
        x + transpose(self.proj_out.forward(tokens, condition.adapters)).reshape([b, c, h, w])
    }
}

#[derive(Debug, Clone)]
struct BasicTransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff_in: Linear,
    ff_out: Linear,
}

impl BasicTransformerBlock {
    fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Self {
        let [_, text] = b.dims(&format!("{path}.attn2.to_k.weight"));
        Self {
            norm1: b.layer_norm(&format!("{path}.norm1"), channels),
            attn1: Attention::build(b, &format!("{path}.attn1"), channels, channels),
            norm2: b.layer_norm(&format!("{path}.norm2"), channels),
            attn2: Attention::build(b, &format!("{path}.attn2"), channels, text),
            norm3: b.layer_norm(&format!("{path}.norm3"), channels),
            ff_in: b.linear(&format!("{path}.ff.net.0.proj"), [channels, 8 * channels], Role::Transformer),
            ff_out: b.linear(&format!("{path}.ff.net.2"), [4 * channels, channels], Role::Transformer),
        }
    }

    /// # Shapes
    /// - x and output: [B, S, C]
    fn forward(&self, x: Tensor<3>, condition: &Condition<'_>) -> Tensor<3> {
        let adapters = condition.adapters;
        let normed = self.norm1.forward(x.clone(), adapters);
        let x = x + self.attn1.forward(normed.clone(), normed, adapters);
        let x = x.clone() + self.attn2.forward(self.norm2.forward(x, adapters), condition.context.clone(), adapters);
        let gated = geglu(self.ff_in.forward(self.norm3.forward(x.clone(), adapters), adapters), self.ff_in.dtype());
        x + self.ff_out.forward(gated, adapters)
    }
}

#[derive(Debug, Clone)]
struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

impl Attention {
    /// Queries from `channels`, keys and values from `source` columns.
    fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize, source: usize) -> Self {
        let role = Role::Transformer;
        Self {
            to_q: b.linear_without_bias(&format!("{path}.to_q"), [channels, channels], role),
            to_k: b.linear_without_bias(&format!("{path}.to_k"), [source, channels], role),
            to_v: b.linear_without_bias(&format!("{path}.to_v"), [source, channels], role),
            to_out: b.linear(&format!("{path}.to_out.0"), [channels, channels], role),
            heads: heads(b, channels),
        }
    }

    /// # Shapes
    /// - x and output: [B, S, C]
    /// - source: [B, T, D]
    fn forward(&self, x: Tensor<3>, source: Tensor<3>, adapters: &Adapters) -> Tensor<3> {
        let [b, s, c] = x.dims();
        let q = self.split_heads(self.to_q.forward(x, adapters));
        let sources = adapters.sources(source);
        let k = self.split_heads(self.to_k.forward(sources.keys, adapters));
        let v = self.split_heads(self.to_v.forward(sources.values, adapters));
        let y = attention(q, k, v, Mask::None, self.to_q.dtype()).swap_dims(1, 2).reshape([b, s, c]);
        self.to_out.forward(y, adapters)
    }
    /// # Shapes
    /// - x: [B, T, C]
    /// - output: [B, heads, T, C / heads]
    fn split_heads(&self, x: Tensor<3>) -> Tensor<4> {
        let [b, length, c] = x.dims();
        x.reshape([b, length, self.heads, c / self.heads]).swap_dims(1, 2)
    }
}
