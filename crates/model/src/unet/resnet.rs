//! Residual block with time embedding.

use burn::tensor::Tensor;
use lorabake_adapter::Role;
use lorabake_ops::Activation;

use super::condition::Condition;
use crate::nn::{Builder, Conv2d, GroupNorm, Linear};

#[derive(Debug, Clone)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

impl Resnet {
    /// A block for `[inputs, outputs]` channels; `width` is that of the UNet's first level.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, [inputs, outputs]: [usize; 2], width: usize) -> Self {
        let conv_shortcut = format!("{path}.conv_shortcut");
        Self {
            norm1: b.group_norm(&format!("{path}.norm1"), inputs, 1e-5),
            conv1: b.conv(&format!("{path}.conv1"), Builder::same(inputs, outputs), Role::Residual),
            time_emb_proj: b.linear(&format!("{path}.time_emb_proj"), [4 * width, outputs], Role::Residual),
            norm2: b.group_norm(&format!("{path}.norm2"), outputs, 1e-5),
            conv2: b.conv(&format!("{path}.conv2"), Builder::same(outputs, outputs), Role::Residual),
            conv_shortcut: if inputs == outputs {
                None
            } else {
                Some(b.conv(&conv_shortcut, Builder::pointwise(inputs, outputs), Role::Residual))
            },
        }
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H, W]
    pub fn forward(&self, x: Tensor<4>, condition: &Condition<'_>) -> Tensor<4> {
        let adapters = condition.adapters;
        let h = self.conv1.forward(self.norm1.forward(x.clone(), Activation::Silu, adapters), adapters);
        let temb = self.time_emb_proj.forward(condition.temb.clone(), adapters);
        let [batch, channels] = temb.dims();
        let h = h + temb.reshape([batch, channels, 1, 1]);
        let h = self.conv2.forward(self.norm2.forward(h, Activation::Silu, adapters), adapters);
        let x = match &self.conv_shortcut {
            Some(conv_shortcut) => conv_shortcut.forward(x, adapters),
            None => x,
        };
        x + h
    }
}
