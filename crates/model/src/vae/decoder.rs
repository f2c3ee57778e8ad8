//! Latents → image.

use burn::tensor::Tensor;
use lorabake_ops::{Before, FrozenConv, GroupNorm, Image};

use super::blocks::{EPSILON, Middle, Resnet};
use crate::nn::Builder;

/// Decoder half of the VAE.
#[derive(Debug, Clone)]
pub struct Decoder {
    scale: f64,
    post_quant_conv: FrozenConv,
    conv_in: FrozenConv,
    middle: Middle,
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: FrozenConv,
}

#[derive(Debug, Clone)]
struct Level {
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
        let middle = Middle::build(b, "decoder.mid_block", width);
        let mut current = width;
        let levels = (0..b.count(|i| format!("decoder.up_blocks.{i}.resnets.0.conv1.weight")))
            .map(|i| Level::build(b, &format!("decoder.up_blocks.{i}"), &mut current))
            .collect();
        let norm_out = b.group_norm("decoder.conv_norm_out", current, EPSILON);
        let conv_out = b.frozen_conv("decoder.conv_out", Builder::same(current, channels));
        Self { scale, post_quant_conv, conv_in, middle, levels, norm_out, conv_out }
    }

    /// What latents are multiplied by between VAE and UNet.
    pub fn latent_scale(&self) -> f64 {
        self.scale
    }

    /// One image after the other; there is no gradient.
    ///
    /// # Shapes
    /// - latents: [B, 4, h, w], divided by the latent scale
    /// - output: [B, 3, 8·h, 8·w], about −1 to 1
    pub fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let images = Image::of_batch(latents).map(|latent| self.image(latent).into_tensor());
        Tensor::cat(images.collect(), 0)
    }

    fn image(&self, latent: Image) -> Image {
        let x = self.post_quant_conv.pointwise_in_bands(latent);
        let mut x = self.middle.forward(self.conv_in.in_bands(&x, Before::Nothing));
        for level in &self.levels {
            x = level.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
            if let Some(upsample) = &level.upsample {
                x = upsample.in_bands(&x, Before::Double);
            }
        }
        self.conv_out.in_bands(&x, Before::Normalize(&self.norm_out))
    }
}

impl Level {
    fn build(b: &mut Builder<'_, '_>, path: &str, current: &mut usize) -> Self {
        let [channels] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let resnets = (0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")))
            .map(|i| {
                let inputs = std::mem::replace(current, channels);
                Resnet::build(b, &format!("{path}.resnets.{i}"), [inputs, channels])
            })
            .collect();
        let conv = format!("{path}.upsamplers.0.conv");
        let upsample =
            b.has(&format!("{conv}.weight")).then(|| b.frozen_conv(&conv, Builder::same(channels, channels)));
        Self { resnets, upsample }
    }
}
