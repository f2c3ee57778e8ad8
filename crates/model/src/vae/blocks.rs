//! The blocks that encoder and decoder of the VAE are made of.

use burn::tensor::Tensor;
use lorabake_ops::{Activation, Before, FrozenConv, FrozenLinear, GroupNorm, Image, Mask, attention};

use crate::nn::Builder;

/// ε of every norm in the VAE.
pub(super) const EPSILON: f32 = 1e-6;

/// Residual block without time embedding.
#[derive(Debug, Clone)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: FrozenConv,
    norm2: GroupNorm,
    conv2: FrozenConv,
    conv_shortcut: Option<FrozenConv>,
}

impl Resnet {
    /// Reads the block at `path`, for `[inputs, outputs]` channels.
    pub fn build(b: &mut Builder<'_, '_>, path: &str, [inputs, outputs]: [usize; 2]) -> Self {
        let conv_shortcut = format!("{path}.conv_shortcut");
        Self {
            norm1: b.frozen_group_norm(&format!("{path}.norm1"), inputs, EPSILON),
            conv1: b.frozen_conv(&format!("{path}.conv1"), Builder::same(inputs, outputs)),
            norm2: b.frozen_group_norm(&format!("{path}.norm2"), outputs, EPSILON),
            conv2: b.frozen_conv(&format!("{path}.conv2"), Builder::same(outputs, outputs)),
            conv_shortcut: if inputs == outputs {
                None
            } else {
                Some(b.frozen_conv(&conv_shortcut, Builder::pointwise(inputs, outputs)))
            },
        }
    }

    /// The block's output. Two images are held, the input and the one between the convolutions; the output takes the
    /// input's place.
    pub fn forward(&self, mut x: Image) -> Image {
        let h = self.conv1.in_bands(&x, Before::Normalize(&self.norm1));
        if let Some(conv_shortcut) = &self.conv_shortcut {
            x = conv_shortcut.pointwise_in_bands(x);
        }
        self.conv2.add_in_bands(&h, Before::Normalize(&self.norm2), x)
    }
}

/// Residual block, one-headed attention over all positions, residual block.
#[derive(Debug, Clone)]
pub(super) struct MidBlock {
    resnets: [Resnet; 2],
    group_norm: GroupNorm,
    to_q: FrozenLinear,
    to_k: FrozenLinear,
    to_v: FrozenLinear,
    to_out: FrozenLinear,
}

impl MidBlock {
    pub fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Self {
        let extents = [channels, channels];
        let attention = format!("{path}.attentions.0");
        Self {
            resnets: [0, 1].map(|i| Resnet::build(b, &format!("{path}.resnets.{i}"), extents)),
            group_norm: b.frozen_group_norm(&format!("{attention}.group_norm"), channels, EPSILON),
            to_q: b.frozen_linear(&format!("{attention}.to_q"), extents),
            to_k: b.frozen_linear(&format!("{attention}.to_k"), extents),
            to_v: b.frozen_linear(&format!("{attention}.to_v"), extents),
            to_out: b.frozen_linear(&format!("{attention}.to_out.0"), extents),
        }
    }

    pub fn forward(&self, x: Image) -> Image {
        let x = self.resnets[0].forward(x).into_tensor();
        self.resnets[1].forward(Image::of(self.attend(x)))
    }

    /// # Shapes
    /// - x and output: [B, C, H, W]
    fn attend(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, c, h, w] = x.dims();
        let tokens = self.group_norm.forward(x.clone(), Activation::None).reshape([b, c, h * w]).swap_dims(1, 2);
        let q = self.to_q.forward(tokens.clone()).unsqueeze_dim::<4>(1);
        let k = self.to_k.forward(tokens.clone()).unsqueeze_dim::<4>(1);
        let v = self.to_v.forward(tokens).unsqueeze_dim::<4>(1);
        let y = attention(q, k, v, Mask::None, self.to_q.dtype());
        x + self.to_out.forward(y.squeeze_dim::<3>(1)).swap_dims(1, 2).reshape([b, c, h, w])
    }
}
