//! Image → mean and log-variance of its latents.

use burn::tensor::Tensor;
use lorabake_ops::{Before, ConvShape, FrozenConv, GroupNorm, Image};

use super::blocks::{EPSILON, Middle, Resnet};
use crate::nn::Builder;

/// Encoder half of the VAE.
#[derive(Debug, Clone)]
pub struct Encoder {
    scale: f64,
    conv_in: FrozenConv,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: FrozenConv,
    quant_conv: FrozenConv,
}

#[derive(Debug, Clone)]
struct Level {
    resnets: Vec<Resnet>,
    downsample: Option<FrozenConv>,
}

/// A normal distribution over latents, before the latent scale.
#[derive(Debug, Clone)]
pub struct Moments {
    /// [B, 4, H/8, W/8]
    pub mean: Tensor<4>,
    /// [B, 4, H/8, W/8]
    pub log_variance: Tensor<4>,
}

impl Encoder {
    /// Reads the network; sizes come from the file's header. Latents are multiplied by `scale` between VAE and UNet.
    pub fn build(b: &mut Builder<'_, '_>, scale: f64) -> Self {
        let [width, channels] = b.dims("encoder.conv_in.weight");
        let [latents] = b.dims("quant_conv.weight");
        let conv_in = b.frozen_conv("encoder.conv_in", Builder::same(channels, width));
        let mut current = width;
        let levels = (0..b.count(|i| format!("encoder.down_blocks.{i}.resnets.0.conv1.weight")))
            .map(|i| Level::build(b, &format!("encoder.down_blocks.{i}"), &mut current))
            .collect();
        Self {
            scale,
            conv_in,
            levels,
            middle: Middle::build(b, "encoder.mid_block", current),
            norm_out: b.group_norm("encoder.conv_norm_out", current, EPSILON),
            conv_out: b.frozen_conv("encoder.conv_out", Builder::same(current, latents)),
            quant_conv: b.frozen_conv("quant_conv", Builder::pointwise(latents, latents)),
        }
    }

    /// What latents are multiplied by between VAE and UNet.
    pub fn latent_scale(&self) -> f64 {
        self.scale
    }

    /// One image after the other; there is no gradient.
    ///
    /// # Shapes
    /// - images: [B, 3, H, W] in −1 to 1, sides multiples of 8
    pub fn forward(&self, images: Tensor<4>) -> Moments {
        let moments = Image::of_batch(images).map(|image| self.moments(image).into_tensor());
        let moments = Tensor::cat(moments.collect(), 0).chunk(2, 1);
        let [mean, log_variance]: [Tensor<4>; 2] = moments.try_into().expect("two halves");
        Moments { mean, log_variance: log_variance.clamp(-30.0, 20.0) }
    }

    fn moments(&self, image: Image) -> Image {
        let mut x = self.conv_in.in_bands(&image, Before::Nothing);
        for level in &self.levels {
            x = level.resnets.iter().fold(x, |x, resnet| resnet.forward(x));
            if let Some(downsample) = &level.downsample {
                // SD pads on the right and below only.
                x = downsample.in_bands(&x, Before::PadEnd);
            }
        }
        let x = self.middle.forward(x);
        let x = self.conv_out.in_bands(&x, Before::Normalize(&self.norm_out));
        self.quant_conv.pointwise_in_bands(x)
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
        let conv = format!("{path}.downsamplers.0.conv");
        let shape = ConvShape { stride: 2, padding: 0, ..Builder::same(channels, channels) };
        let downsample = b.has(&format!("{conv}.weight")).then(|| b.frozen_conv(&conv, shape));
        Self { resnets, downsample }
    }
}
