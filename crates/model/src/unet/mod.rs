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
pub use recompute::{AdapterPair, Recorded};
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
    temb: Tensor<2>,
    /// Hidden states of the text encoders, [B, T, D].
    context: Tensor<3>,
    adapters: &'a Adapters,
}

#[derive(Debug, Clone)]
struct DownBlock {
    stages: Vec<Stage>,
    downsample: Option<Downsample>,
}

#[derive(Debug, Clone)]
struct MidBlock {
    stage: Stage,
    resnet: Resnet,
}

#[derive(Debug, Clone)]
struct UpBlock {
    stages: Vec<Stage>,
    upsample: Option<Upsample>,
}

/// The UNet.
#[derive(Debug, Clone)]
pub struct UNet {
    time_embedding: TimeEmbedding,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    sites: Sites,
}

impl UNet {
    /// Reads the network; sizes come from the file's header.
    pub fn build(mut b: Builder<'_, '_>) -> Self {
        let [width, latent_channels] = b.dims("conv_in.weight");
        let levels = b.count(|i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
        let time_embedding = TimeEmbedding::build(&mut b, width);
        let conv_in = b.conv("conv_in", Builder::same(latent_channels, width), Role::Stem);
        let mut channels = Channels { first: width, current: width, skips: vec![width] };
        let mut down_blocks = Vec::new();
        for level in 0..levels {
            down_blocks.push(DownBlock::build(&mut b, level, &mut channels));
        }
        let mid_block = MidBlock::build(&mut b, &channels);
        let mut up_blocks = Vec::new();
        for level in 0..levels {
            up_blocks.push(UpBlock::build(&mut b, level, &mut channels));
        }
        let conv_norm_out = b.group_norm("conv_norm_out", channels.current, 1e-5);
        let conv_out = b.conv("conv_out", Builder::same(channels.current, latent_channels), Role::Stem);
        let sites = b.sites;
        Self { time_embedding, conv_in, down_blocks, mid_block, up_blocks, conv_norm_out, conv_out, sites }
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
    /// - conditioning: of B prompts; hidden states alone, [B, T, D], will do for a family that is given no more
    /// - output: [B, 4, H, W]
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: impl Into<Conditioning>,
        adapters: &Adapters,
    ) -> Tensor<4> {
        let Conditioning { context, added } = conditioning.into();
        let temb = self.time_embedding.forward(timesteps, added.as_ref(), &latents.device(), adapters);
        let condition = Condition { temb, context, adapters };
        through(self.pieces(), latents, |piece, input| piece.run(input, &condition))
    }
}

/// Numbers of channels on the way through the network, while it is built.
struct Channels {
    /// Channels of the first level.
    first: usize,
    /// Channels of the tensor that the next layer gets.
    current: usize,
    /// Channels of the skips that were left and not yet taken.
    skips: Vec<usize>,
}

impl Stage {
    /// Resnet `index` of the block at `path` and what follows it, for `[inputs, outputs]` channels; `width` is that of the
    /// first level.
    fn build(b: &mut Builder<'_, '_>, path: &str, index: usize, [inputs, outputs]: [usize; 2], width: usize) -> Self {
        let resnet = Resnet::build(b, &format!("{path}.resnets.{index}"), [inputs, outputs], width);
        let attention = format!("{path}.attentions.{index}");
        let mut transformer = None;
        if b.has(&format!("{attention}.norm.weight")) {
            transformer = Some(Transformer::build(b, &attention, outputs));
        }
        Self { resnet, transformer }
    }
}

impl DownBlock {
    fn build(b: &mut Builder<'_, '_>, level: usize, channels: &mut Channels) -> Self {
        let path = format!("down_blocks.{level}");
        let [outputs] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let mut stages = Vec::new();
        for index in 0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")) {
            stages.push(Stage::build(b, &path, index, [channels.current, outputs], channels.first));
            channels.current = outputs;
            channels.skips.push(outputs);
        }
        let mut downsample = None;
        if b.has(&format!("{path}.downsamplers.0.conv.weight")) {
            downsample = Some(Downsample::build(b, &format!("{path}.downsamplers.0.conv"), outputs));
            channels.skips.push(outputs);
        }
        Self { stages, downsample }
    }
}

impl MidBlock {
    fn build(b: &mut Builder<'_, '_>, channels: &Channels) -> Self {
        let extents = [channels.current, channels.current];
        let stage = Stage::build(b, "mid_block", 0, extents, channels.first);
        let resnet = Resnet::build(b, "mid_block.resnets.1", extents, channels.first);
        Self { stage, resnet }
    }
}

impl UpBlock {
    fn build(b: &mut Builder<'_, '_>, level: usize, channels: &mut Channels) -> Self {
        let path = format!("up_blocks.{level}");
        let [outputs] = b.dims(&format!("{path}.resnets.0.conv1.weight"));
        let mut stages = Vec::new();
        for index in 0..b.count(|i| format!("{path}.resnets.{i}.conv1.weight")) {
            let inputs = channels.current + channels.skips.pop().unwrap_or_default();
            stages.push(Stage::build(b, &path, index, [inputs, outputs], channels.first));
            channels.current = outputs;
        }
        let mut upsample = None;
        if b.has(&format!("{path}.upsamplers.0.conv.weight")) {
            upsample = Some(Upsample::build(b, &format!("{path}.upsamplers.0.conv"), outputs));
        }
        Self { stages, upsample }
    }
}
