//! Image → mean and log-variance of its latents.

use burn::tensor::Tensor;
use lorabake_ops::{Before, ConvShape, FrozenConv, GroupNorm, Image};

use super::blocks::{EPSILON, MidBlock, Resnet};
use crate::nn::Builder;

/// Encoder half of the VAE.
#[derive(Debug, Clone)]
pub struct Encoder {
    scale: f64,
    conv_in: FrozenConv,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    conv_norm_out: GroupNorm,
    conv_out: FrozenConv,
    quant_conv: FrozenConv,
}

#[derive(Debug, Clone)]
struct DownBlock {
    resnets: Vec<Resnet>,
    downsample: Option<FrozenConv>,
}

/// A normal distribution over latents, before the latent scale.
#[derive(Debug, Clone)]
pub struct Moments {
    /// The mean, [B, 4, H/8, W/8].
    pub mean: Tensor<4>,
    /// The logarithm of the variance, [B, 4, H/8, W/8].
    pub log_variance: Tensor<4>,
}

impl Encoder {
    /// Reads the network; sizes come from the file's header. Latents are multiplied by `scale` between VAE and UNet.
    pub fn build(b: &mut Builder<'_, '_>, scale: f64) -> Self {
        let [width, channels] = b.dims("encoder.conv_in.weight");
        let [latents] = b.dims("quant_conv.weight");
        let conv_in = b.frozen_conv("encoder.conv_in", Builder::same(channels, width));
        let mut current = width;
        let mut down_blocks = Vec::new();
        for index in 0..b.count(|i| format!("encoder.down_blocks.{i}.resnets.0.conv1.weight")) {
            down_blocks.push(DownBlock::build(b, &format!("encoder.down_blocks.{index}"), &mut current));
        }
        Self {
            scale,
            conv_in,
            down_blocks,
            mid_block: MidBlock::build(b, "encoder.mid_block", current),
            conv_norm_out: b.frozen_group_norm("encoder.conv_norm_out", current, EPSILON),
            conv_out: b.frozen_conv("encoder.conv_out", Builder::same(current, latents)),
            quant_conv: b.frozen_conv("quant_conv", Builder::pointwise(latents, latents)),
        }
    }

    /// The factor that latents are multiplied by between VAE and UNet.
    pub fn latent_scale(&self) -> f64 {
        self.scale
    }

    /// The distributions of the latents of images, one after the other; there is no gradient.
    ///
    /// # Shapes
    /// - images: [B, 3, H, W] in −1 to 1, sides multiples of 8
    /// - output: [B, 4, H/8, W/8] for both moments
    pub fn forward(&self, images: Tensor<4>) -> Moments {
        let mut moments = Vec::new();
        for image in Image::of_batch(images) {
            moments.push(self.moments(image).into_tensor());
        }
        let moments = Tensor::cat(moments, 0).chunk(2, 1);
        let [mean, log_variance]: [Tensor<4>; 2] = moments.try_into().expect("two halves");
        Moments { mean, log_variance: log_variance.clamp(-30.0, 20.0) }
    }

    fn moments(&self, image: Image) -> Image {
        let mut x = self.conv_in.in_bands(&image, Before::Nothing);
        for block in &self.down_blocks {
            for resnet in &block.resnets {
                x = resnet.forward(x);
            }
            if let Some(downsample) = &block.downsample {
                // SD pads on the right and below only.
                x = downsample.in_bands(&x, Before::PadEnd);
            }
        }
        let x = self.mid_block.forward(x);
        let x = self.conv_out.in_bands(&x, Before::Normalize(&self.conv_norm_out));
        self.quant_conv.pointwise_in_bands(x)
    }
}

impl DownBlock {
    /// Reads the block at `path`; `current` is the number of channels before it, and then behind it.
    fn build(b: &mut Builder<'_, '_>, path: &str, current: &mut usize) -> Self {
        let [channels] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let mut resnets = Vec::new();
        for index in 0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")) {
            resnets.push(Resnet::build(b, &format!("{path}.resnets.{index}"), [*current, channels]));
            *current = channels;
        }
        let conv = format!("{path}.downsamplers.0.conv");
        let shape = ConvShape { stride: 2, padding: 0, ..Builder::same(channels, channels) };
        let downsample = if b.has(&format!("{conv}.weight")) { Some(b.frozen_conv(&conv, shape)) } else { None };
        Self { resnets, downsample }
    }
}
