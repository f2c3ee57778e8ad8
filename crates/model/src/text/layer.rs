//! One layer of CLIP's text transformer: causal self-attention and an MLP.

use burn::tensor::{Tensor, activation};
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::{Mask, attention, quick_gelu};

use crate::family::Activation;
use crate::nn::{Builder, LayerNorm, Linear};

/// CLIP's heads are 64 wide; narrow toys still have two.
const HEAD_WIDTH: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Layer {
    layer_norm1: LayerNorm,
    k_proj: Linear,
    v_proj: Linear,
    q_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
    heads: usize,
}

impl Layer {
    pub fn build(b: &mut Builder<'_, '_>, path: &str, width: usize, activation: Activation) -> Self {
        let [inner] = b.dims(&format!("{path}.mlp.fc1.weight"));
        let attention = format!("{path}.self_attn");
        Self {
            layer_norm1: b.layer_norm(&format!("{path}.layer_norm1"), width),
            // In the order of transformers' `CLIPAttention`, which is that of the adapters.
            k_proj: b.linear(&format!("{attention}.k_proj"), [width, width], Role::TextAttention),
            v_proj: b.linear(&format!("{attention}.v_proj"), [width, width], Role::TextAttention),
            q_proj: b.linear(&format!("{attention}.q_proj"), [width, width], Role::TextAttention),
            out_proj: b.linear(&format!("{attention}.out_proj"), [width, width], Role::TextAttention),
            layer_norm2: b.layer_norm(&format!("{path}.layer_norm2"), width),
            fc1: b.linear(&format!("{path}.mlp.fc1"), [width, inner], Role::TextMlp),
            fc2: b.linear(&format!("{path}.mlp.fc2"), [inner, width], Role::TextMlp),
            activation,
            heads: (width / HEAD_WIDTH).max(2),
        }
    }

    /// # Shapes
    /// - x and output: [N, 77, D]
    pub fn forward(&self, x: Tensor<3>, adapters: &Adapters) -> Tensor<3> {
        let x = x.clone() + self.attend(self.layer_norm1.forward(x, adapters), adapters);
        let inner = self.fc1.forward(self.layer_norm2.forward(x.clone(), adapters), adapters);
        let inner = match self.activation {
            Activation::QuickGelu => quick_gelu(inner),
            Activation::Gelu => activation::gelu(inner),
        };
        x + self.fc2.forward(inner, adapters)
    }

    /// # Shapes
    /// - x and output: [N, 77, D]
    fn attend(&self, x: Tensor<3>, adapters: &Adapters) -> Tensor<3> {
        let [n, length, width] = x.dims();
        let by_head = [n, length, self.heads, width / self.heads];
        let q = self.q_proj.forward(x.clone(), adapters).reshape(by_head).swap_dims(1, 2);
        let k = self.k_proj.forward(x.clone(), adapters).reshape(by_head).swap_dims(1, 2);
        let v = self.v_proj.forward(x, adapters).reshape(by_head).swap_dims(1, 2);
        let y = attention(q, k, v, Mask::Causal, self.q_proj.dtype()).swap_dims(1, 2).reshape([n, length, width]);
        self.out_proj.forward(y, adapters)
    }
}
