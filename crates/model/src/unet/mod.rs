//! The denoising UNet (Rombach et al. 2022; topology and names as in diffusers' `UNet2DConditionModel`).

mod piece;
mod recompute;
mod resnet;
mod sampling;
mod time;
mod transformer;

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Role, Sites};
use lorabake_ops::GroupNorm;

use crate::conditioning::Conditioning;
use crate::nn::{Builder, Conv2d};
use piece::through;
pub use recompute::{Both, Recorded};
use resnet::Resnet;
use sampling::{Downsample, Upsample};
use time::TimeEmbedding;
use transformer::Transformer;

/// A residual block, and the transformer that may follow it.
#[derive(Debug, Clone)]
struct Stage {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Stage {
    fn forward(&self, x: Tensor<4>, condition: &Condition<'_>) -> Tensor<4> {
        let x = self.resnet.forward(x, condition);
        match &self.transformer {
            Some(transformer) => transformer.forward(x, condition),
            None => x,
        }
    }
}

/// What every block receives beside its input.
struct Condition<'a> {
    /// Time embedding after SiLU, [B, 4·C0].
    time: Tensor<2>,
    /// Text states, [B, T, D].
    context: Tensor<3>,
    adapters: &'a Adapters,
}

#[derive(Debug, Clone)]
struct DownBlock {
    stages: Vec<Stage>,
    downsample: Option<Downsample>,
}

#[derive(Debug, Clone)]
struct UpBlock {
    stages: Vec<Stage>,
    upsample: Option<Upsample>,
}

/// The UNet.
#[derive(Debug, Clone)]
pub struct UNet {
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    middle: (Stage, Resnet),
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    sites: Sites,
}

impl UNet {
    /// Reads the network; sizes come from the file's header.
    pub fn build(mut b: Builder<'_, '_>) -> Self {
        let [width, channels] = b.dims("conv_in.weight");
        let time = TimeEmbedding::build(&mut b, width);
        let conv_in = b.conv("conv_in", Builder::same(channels, width), Role::Stem);
        let mut skips = vec![width];
        let levels = b.count(|i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
        let mut current = width;
        let down = (0..levels).map(|level| DownBlock::build(&mut b, level, &mut current, &mut skips)).collect();
        let middle = (
            Stage::build(&mut b, ("mid_block", 0), [current, current], width),
            Resnet::build(&mut b, "mid_block.resnets.1", [current, current], width),
        );
        let up = (0..levels).map(|level| UpBlock::build(&mut b, level, &mut current, &mut skips, width)).collect();
        let norm_out = b.group_norm("conv_norm_out", current, 1e-5);
        let conv_out = b.conv("conv_out", Builder::same(current, channels), Role::Stem);
        Self { time, conv_in, down, middle, up, norm_out, conv_out, sites: b.sites }
    }

    /// The layers that adapters may attach to.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// The prediction of the network for noisy latents.
    ///
    /// # Shapes
    /// - latents: [B, 4, H, W]
    /// - timesteps: B numbers, 0 to 999
    /// - conditioning: of B prompts; text states alone, [B, T, D], will do where no more is told
    /// - output: [B, 4, H, W]
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: impl Into<Conditioning>,
        adapters: &Adapters,
    ) -> Tensor<4> {
        let Conditioning { context, added } = conditioning.into();
        let time = self.time.forward(timesteps, added.as_ref(), &latents.device(), adapters);
        let condition = Condition { time, context, adapters };
        through(self.pieces(), latents, |piece, input| piece.run(input, &condition))
    }
}

impl Stage {
    /// Stage `index` of `block`, for `[inputs, outputs]` channels.
    fn build(b: &mut Builder<'_, '_>, (block, index): (&str, usize), extents: [usize; 2], width: usize) -> Self {
        let resnet = Resnet::build(b, &format!("{block}.resnets.{index}"), extents, width);
        let path = format!("{block}.attentions.{index}");
        let transformer = b.has(&format!("{path}.norm.weight")).then(|| Transformer::build(b, &path, extents[1]));
        Self { resnet, transformer }
    }
}

impl DownBlock {
    fn build(b: &mut Builder<'_, '_>, level: usize, current: &mut usize, skips: &mut Vec<usize>) -> Self {
        let (path, width) = (format!("down_blocks.{level}"), skips[0]);
        let [channels] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let stages = (0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")))
            .map(|index| {
                let stage = Stage::build(b, (&path, index), [*current, channels], width);
                *current = channels;
                skips.push(channels);
                stage
            })
            .collect();
        let downsample = b.has(&format!("{path}.downsamplers.0.conv.weight")).then(|| {
            skips.push(channels);
            Downsample::build(b, &format!("{path}.downsamplers.0.conv"), channels)
        });
        Self { stages, downsample }
    }
}

impl UpBlock {
    fn build(b: &mut Builder<'_, '_>, level: usize, current: &mut usize, skips: &mut Vec<usize>, width: usize) -> Self {
        let path = format!("up_blocks.{level}");
        let [channels] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let stages = (0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")))
            .map(|index| {
                let inputs = *current + skips.pop().unwrap_or_default();
                *current = channels;
                Stage::build(b, (&path, index), [inputs, channels], width)
            })
            .collect();
        let upsample = b
            .has(&format!("{path}.upsamplers.0.conv.weight"))
            .then(|| Upsample::build(b, &format!("{path}.upsamplers.0.conv"), channels));
        Self { stages, upsample }
    }
}
