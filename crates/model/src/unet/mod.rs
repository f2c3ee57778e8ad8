//! The denoising UNet (Rombach et al. 2022; topology and names as in diffusers' `UNet2DConditionModel`).

mod blocks;
mod condition;
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
use blocks::{Channels, DownBlock, MidBlock, UpBlock};
use condition::Condition;
use piece::through;
pub use recompute::{AdapterPair, Recorded};
use time::TimeEmbedding;

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
