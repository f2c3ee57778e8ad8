//! Latents → image.

use burn::tensor::Tensor;
use lorabake_ops::{Before, FrozenConv, GroupNorm, Image};

use super::blocks::{EPSILON, MidBlock, Resnet};
use crate::nn::Builder;

/// Decoder half of the VAE.
#[derive(Debug, Clone)]
pub struct Decoder {
    scale: f64,
    post_quant_conv: FrozenConv,
    conv_in: FrozenConv,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: FrozenConv,
}

#[derive(Debug, Clone)]
struct UpBlock {
    resnets: Vec<Resnet>,
    upsample: Option<FrozenConv>,
}

impl Decoder {
    /// Reads the network; sizes come from the file's header. Latents are multiplied by `scale` between VAE and UNet.
    pub fn build(b: &mut Builder<'_, '_>, scale: f64) -> Self {
        let [width, latents] = b.dims("decoder.conv_in.weight");
        let [channels] = b.dims("decoder.conv_out.weight");
        let post_quant_conv = b.frozen_conv("post_quant_conv", Builder::pointwise(latents, latents));
        let conv_in = b.frozen_conv("decoder.conv_in", Builder::same(latents, width));
        let mid_block = MidBlock::build(b, "decoder.mid_block", width);
        let mut current = width;
        let mut up_blocks = Vec::new();
        for index in 0..b.count(|i| format!("decoder.up_blocks.{i}.resnets.0.conv1.weight")) {
            up_blocks.push(UpBlock::build(b, &format!("decoder.up_blocks.{index}"), &mut current));
        }
        let conv_norm_out = b.frozen_group_norm("decoder.conv_norm_out", current, EPSILON);
        let conv_out = b.frozen_conv("decoder.conv_out", Builder::same(current, channels));
        Self { scale, post_quant_conv, conv_in, mid_block, up_blocks, conv_norm_out, conv_out }
    }

    /// The factor that latents are multiplied by between VAE and UNet.
    pub fn latent_scale(&self) -> f64 {
        self.scale
    }

    /// The images of latents, one after the other; there is no gradient.
    ///
    /// # Shapes
    /// - latents: [B, 4, h, w], divided by the latent scale
    /// - output: [B, 3, 8·h, 8·w], about −1 to 1
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut images = Vec::new();
        for latent in Image::of_batch(latents) {
            images.push(self.image(latent).into_tensor());
        }
        Tensor::cat(images, 0)
    }

    fn image(&self, latent: Image) -> Image {
        let x = self.post_quant_conv.pointwise_in_bands(latent);
        let mut x = self.mid_block.forward(self.conv_in.in_bands(&x, Before::Nothing));
        for block in &self.up_blocks {
            for resnet in &block.resnets {
                x = resnet.forward(x);
            }
            if let Some(upsample) = &block.upsample {
                x = upsample.in_bands(&x, Before::Double);
            }
        }
        self.conv_out.in_bands(&x, Before::Normalize(&self.conv_norm_out))
    }
}

impl UpBlock {
    /// Reads the block at `path`; `current` is the number of channels before it, and then behind it.
    fn build(b: &mut Builder<'_, '_>, path: &str, current: &mut usize) -> Self {
        let [channels] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let mut resnets = Vec::new();
        for index in 0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")) {
            resnets.push(Resnet::build(b, &format!("{path}.resnets.{index}"), [*current, channels]));
            *current = channels;
        }
        let conv = format!("{path}.upsamplers.0.conv");
        let mut upsample = None;
        if b.has(&format!("{conv}.weight")) {
            upsample = Some(b.frozen_conv(&conv, Builder::same(channels, channels)));
        }
        Self { resnets, upsample }
    }
}
