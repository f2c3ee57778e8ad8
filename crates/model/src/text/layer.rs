//! One layer of CLIP's text transformer: causal self-attention and an MLP.

use burn::tensor::{Tensor, activation};
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::{LayerNorm, Mask, attention, quick_gelu};

use crate::family::Activation;
use crate::nn::{Builder, Linear};

/// CLIP's heads are 64 wide; narrow toys still have two.
const HEAD_WIDTH: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Layer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
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
        let mut project =
            |name: &str| b.linear(&format!("{path}.self_attn.{name}"), [width, width], Role::TextAttention);
        let (k_proj, v_proj) = (project("k_proj"), project("v_proj"));
        let (q_proj, out_proj) = (project("q_proj"), project("out_proj"));
        Self {
            layer_norm1: b.layer_norm(&format!("{path}.layer_norm1"), width),
            q_proj,
            k_proj,
            v_proj,
            out_proj,
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
        let x = x.clone() + self.attend(self.layer_norm1.forward(x), adapters);
        let inner = self.fc1.forward(self.layer_norm2.forward(x.clone()), adapters);
        let inner = match self.activation {
            Activation::QuickGelu => quick_gelu(inner),
            Activation::Gelu => activation::gelu(inner),
        };
        x + self.fc2.forward(inner, adapters)
    }

    fn attend(&self, x: Tensor<3>, adapters: &Adapters) -> Tensor<3> {
        let [n, length, width] = x.dims();
        let heads = |x: Tensor<3>| x.reshape([n, length, self.heads, width / self.heads]).swap_dims(1, 2);
        let q = heads(self.q_proj.forward(x.clone(), adapters));
        let k = heads(self.k_proj.forward(x.clone(), adapters));
        let v = heads(self.v_proj.forward(x, adapters));
        let y = attention(q, k, v, Mask::Causal, self.q_proj.dtype()).swap_dims(1, 2).reshape([n, length, width]);
        self.out_proj.forward(y, adapters)
    }
}
