//! A transformer block with a LoRA beside each of its linear layers, as `model/unet/transformer.rs` composes it.

use burn::tensor::Tensor;
use lorabake_ops::cuda::attention::{Attended, attend};
use lorabake_ops::cuda::layer_norm::LayerNormLayer;
use lorabake_ops::cuda::linear::Kept;
use lorabake_ops::cuda::{Buffer, Launcher, Recording, activations};
use lorabake_ops::{LayerNorm, Mask, WeightDtype, attention, geglu};

use super::super::case::{Case, numbers};
use super::adapted::Adapted;

/// q, k, v, out of an attention.
pub struct Attention {
    layers: [Adapted; 4],
    heads: usize,
    mask: Mask,
}

/// What all its kernels share.
#[derive(Clone, Copy)]
pub struct Heads {
    pub channels: usize,
    pub heads: usize,
    /// Width of what keys and values are made of.
    pub source: usize,
    pub mask: Mask,
}

impl Attention {
    /// With weights by `salt`.
    pub fn new(case: &mut Case, of: Heads, salt: u64) -> Self {
        let Heads { channels, heads, source, mask } = of;
        let mut layer = |inputs, bias, salt| Adapted::new(case, [inputs, channels], bias, salt);
        let layers = [
            layer(channels, false, salt),
            layer(source, false, salt + 4),
            layer(source, false, salt + 8),
            layer(channels, true, salt + 12),
        ];
        Self { layers, heads, mask }
    }

    /// On the processor.
    ///
    /// # Shapes
    /// - x and output: [B, S, C]; source: [B, T, D]
    pub fn forward(&self, x: Tensor<3>, source: Tensor<3>) -> Tensor<3> {
        let [to_q, to_k, to_v, to_out] = &self.layers;
        let split = |x: Tensor<3>| {
            let [batch, tokens, channels] = x.dims();
            x.reshape([batch, tokens, self.heads, channels / self.heads]).swap_dims(1, 2)
        };
        let shape = x.dims();
        let q = split(to_q.forward(x));
        let k = split(to_k.forward(source.clone()));
        let v = split(to_v.forward(source));
        let y = attention(q, k, v, self.mask, WeightDtype::F32);
        to_out.forward(y.swap_dims(1, 2).reshape(shape))
    }

    /// On the card; adds what the backward pass reads to `kept`.
    pub fn launched(
        &self,
        on: &mut Recording,
        x: &Buffer<usize>,
        source: &Buffer<usize>,
        kept: &mut Vec<Kept<usize>>,
    ) -> (Buffer<usize>, Attended<usize>) {
        let [to_q, to_k, to_v, to_out] = &self.layers;
        let split = |x: &Buffer<usize>| {
            let [batch, tokens, channels] = x.extents();
            x.seen_as(&[batch, tokens, self.heads, channels / self.heads])
        };
        let q = split(&to_q.launched(on, x, kept));
        let k = split(&to_k.launched(on, source, kept));
        let v = split(&to_v.launched(on, source, kept));
        let attended = attend(on, &q, &k, &v, self.mask).expect("served");
        let y = attended.output(on).seen_as(&x.array.shape);
        (to_out.launched(on, &y, kept), attended)
    }

    /// Gradients of x, of the source by keys and by values; those of LoRAs from `to_out` back to `to_q`.
    pub fn launched_back(
        &self,
        on: &mut Recording,
        dy: &Buffer<usize>,
        attended: &Attended<usize>,
        kept: &mut Vec<Kept<usize>>,
        gradients: &mut Vec<Buffer<usize>>,
    ) -> [Buffer<usize>; 3] {
        let [to_q, to_k, to_v, to_out] = &self.layers;
        let dy = to_out.launched_back(on, dy, kept, gradients);
        let [batch, tokens, channels] = dy.extents();
        let dy = dy.seen_as(&[batch, tokens, self.heads, channels / self.heads]);
        let [dq, dk, dv] = attended.backward(on, &dy).expect("served").map(|gradient| {
            let [batch, tokens, _, _] = gradient.extents();
            gradient.seen_as(&[batch, tokens, channels])
        });
        let by_values = to_v.launched_back(on, &dv, kept, gradients);
        let by_keys = to_k.launched_back(on, &dk, kept, gradients);
        let dx = to_q.launched_back(on, &dq, kept, gradients);
        [dx, by_keys, by_values]
    }

    /// The layers in the order in which gradients come.
    pub fn backwards(&self) -> [&Adapted; 4] {
        let [to_q, to_k, to_v, to_out] = &self.layers;
        [to_out, to_v, to_k, to_q]
    }
}

/// A transformer block: attention to itself and to a text, and a gated feed forward; LoRAs beside all ten linear layers.
pub struct Block {
    norms: [LayerNorm; 3],
    on_card: [LayerNormLayer<usize>; 3],
    to_itself: Attention,
    to_text: Attention,
    ff_in: Adapted,
    ff_out: Adapted,
}

/// What the backward pass of a block reads.
pub struct Passed {
    x: Buffer<usize>,
    x2: Buffer<usize>,
    x3: Buffer<usize>,
    to_itself: Attended<usize>,
    to_text: Attended<usize>,
    wide: Buffer<usize>,
    kept: Vec<Kept<usize>>,
    /// The output [B, S, C].
    pub y: Buffer<usize>,
}

/// A layer norm by `salt`, on the processor and on the card.
pub fn layer_norm(case: &mut Case, channels: usize, salt: u64) -> (LayerNorm, LayerNormLayer<usize>) {
    let beta = numbers(channels, salt + 1, 0.25);
    let norm = LayerNorm::new(numbers(channels, salt, 1.0), beta, 1e-5, WeightDtype::F32);
    let on_card = LayerNormLayer::of(&mut case.recording, &norm);
    (norm, on_card)
}

impl Block {
    /// How often a number is rounded on its longest way: norm, rank, q, probabilities, output, rank, layer and sum of both
    /// attentions; norm, rank, layer, gate, rank, layer and sum.
    pub const ROUNDINGS: u32 = 2 * 8 + 7;

    /// With heads for itself; `text`: width of the text.
    pub fn new(case: &mut Case, itself: Heads, text: usize, salt: u64) -> Self {
        let channels = itself.channels;
        let (norm1, card_norm1) = layer_norm(case, channels, salt);
        let (norm2, card_norm2) = layer_norm(case, channels, salt + 2);
        let (norm3, card_norm3) = layer_norm(case, channels, salt + 4);
        Self {
            norms: [norm1, norm2, norm3],
            on_card: [card_norm1, card_norm2, card_norm3],
            to_itself: Attention::new(case, itself, salt + 10),
            to_text: Attention::new(case, Heads { source: text, ..itself }, salt + 30),
            ff_in: Adapted::new(case, [channels, 8 * channels], true, salt + 50),
            ff_out: Adapted::new(case, [4 * channels, channels], true, salt + 60),
        }
    }

    /// On the processor.
    ///
    /// # Shapes
    /// - x and output: [B, S, C]; text: [B, T, D]
    pub fn forward(&self, x: Tensor<3>, text: Tensor<3>) -> Tensor<3> {
        let [norm1, norm2, norm3] = &self.norms;
        let normed = norm1.forward(x.clone());
        let x = x + self.to_itself.forward(normed.clone(), normed);
        let x = x.clone() + self.to_text.forward(norm2.forward(x), text);
        let gated = geglu(self.ff_in.forward(norm3.forward(x.clone())), WeightDtype::F32);
        x + self.ff_out.forward(gated)
    }

    /// On the card.
    pub fn launched(&self, on: &mut Recording, x: &Buffer<usize>, text: &Buffer<usize>) -> Passed {
        let [norm1, norm2, norm3] = &self.on_card;
        let mut kept = Vec::new();
        let normed = norm1.forward(on, x).expect("served");
        let (y, to_itself) = self.to_itself.launched(on, &normed, &normed, &mut kept);
        let x2 = on.sum(x, &y);
        let normed = norm2.forward(on, &x2).expect("served");
        let (y, to_text) = self.to_text.launched(on, &normed, text, &mut kept);
        let x3 = on.sum(&x2, &y);
        let normed = norm3.forward(on, &x3).expect("served");
        let wide = self.ff_in.launched(on, &normed, &mut kept);
        let gated = activations::gated(on, &wide).expect("served");
        let y = self.ff_out.launched(on, &gated, &mut kept);
        let y = on.sum(&x3, &y);
        Passed { x: x.clone(), x2, x3, to_itself, to_text, wide, kept, y }
    }

    /// dx on the card; adds gradients of the LoRAs in the order of [`backwards`](Self::backwards) to `found`.
    pub fn launched_back(
        &self,
        on: &mut Recording,
        mut passed: Passed,
        dy: &Buffer<usize>,
        found: &mut Vec<Buffer<usize>>,
    ) -> Buffer<usize> {
        let [norm1, norm2, norm3] = &self.on_card;
        let kept = &mut passed.kept;
        let back = self.ff_out.launched_back(on, dy, kept, found);
        let back = activations::gated_backward(on, &passed.wide, &back).expect("served");
        let back = self.ff_in.launched_back(on, &back, kept, found);
        let back = norm3.backward(on, &passed.x3, &back).expect("served");
        let dx3 = on.sum(dy, &back);
        let [back, _, _] = self.to_text.launched_back(on, &dx3, &passed.to_text, kept, found);
        let back = norm2.backward(on, &passed.x2, &back).expect("served");
        let dx2 = on.sum(&dx3, &back);
        let [dx, by_keys, by_values] = self.to_itself.launched_back(on, &dx2, &passed.to_itself, kept, found);
        let back = on.sum(&dx, &by_keys);
        let back = on.sum(&back, &by_values);
        let back = norm1.backward(on, &passed.x, &back).expect("served");
        on.sum(&dx2, &back)
    }

    /// The layers in the order in which gradients come.
    pub fn backwards(&self) -> Vec<&Adapted> {
        let mut layers = vec![&self.ff_out, &self.ff_in];
        layers.extend(self.to_text.backwards());
        layers.extend(self.to_itself.backwards());
        layers
    }
}
