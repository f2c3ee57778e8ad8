//! The UNet's first convolution. That of an inpainting model takes five channels behind the latents (a mask, and what the
//! mask leaves of the image); LoRAs were trained without them, so adapters see the latents alone.

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::FrozenConv;

use crate::nn::{Builder, Conv2d};

/// Channels of an inpainting model behind the latents: a mask, and the latents of the masked image.
const BEHIND: usize = 5;

/// The first convolution.
#[derive(Debug, Clone)]
pub(crate) struct First {
    conv: Conv2d,
    /// For the channels behind the latents, without bias.
    behind: Option<FrozenConv>,
}

impl First {
    /// Reads it for latents of so many channels, with or without those behind.
    pub fn build(b: &mut Builder<'_, '_>, latent_channels: usize) -> Self {
        let [width, channels] = b.dims("conv_in.weight");
        if channels != latent_channels + BEHIND {
            return Self { conv: b.conv("conv_in", Builder::same(latent_channels, width), Role::Stem), behind: None };
        }
        let shape = Builder::same(channels, width);
        let conv = b.conv_of_inputs("conv_in", shape, 0..latent_channels, Role::Stem);
        let behind = Some(b.frozen_conv_of_inputs("conv_in", shape, latent_channels..channels));
        Self { conv, behind }
    }

    /// How many channels it takes.
    pub fn channels(&self) -> usize {
        let behind = self.behind.as_ref().map_or(0, |behind| behind.shape().inputs);
        self.conv.shape().inputs + behind
    }

    /// # Shapes
    /// - x: [B, 4 or 9, H, W]
    /// - output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>, adapters: &Adapters) -> Tensor<4> {
        let Some(behind) = &self.behind else { return self.conv.forward(x, adapters) };
        let latents = self.conv.shape().inputs;
        let more = x.clone().narrow(1, latents, behind.shape().inputs);
        self.conv.forward(x.narrow(1, 0, latents), adapters) + behind.forward(more)
    }
}
