//! The denoising UNet (Rombach et al. 2022; topology and names as in diffusers' `UNet2DConditionModel`).

pub(crate) mod blocks;
pub(crate) mod condition;
mod first;
mod piece;
mod recompute;
mod residuals;
pub(crate) mod resnet;
pub(crate) mod sampling;
pub(crate) mod time;
mod transformer;

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Role, Sites};

use crate::conditioning::Conditioning;
use crate::nn::{Builder, Conv2d, GroupNorm};
use blocks::{Channels, DownBlock, MidBlock, UpBlock};
use condition::{Condition, OddSides};
use first::First;
use piece::through;
pub use recompute::{AdapterPair, Recorded};
pub use residuals::Residuals;
use time::TimeEmbedding;

/// The UNet.
#[derive(Debug, Clone)]
pub struct UNet {
    time_embedding: TimeEmbedding,
    conv_in: First,
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
        let [width] = b.dims("conv_in.weight");
        let [latent_channels] = b.dims("conv_out.weight");
        let levels = b.count(|i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
        let time_embedding = TimeEmbedding::build(&mut b, width);
        let conv_in = First::build(&mut b, latent_channels);
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
        let condition = self.condition(&latents, timesteps, conditioning.into(), adapters);
        through(self.pieces(), latents, None, |piece, input| piece.run(input, &condition))
    }

    /// The prediction for latents of a picture that is painted as the web UI paints it: of any size, of an inpainting model
    /// too, and steered from outside. Where no side becomes odd on the way down, and nothing steers, it is that of
    /// [`UNet::forward`].
    ///
    /// # Shapes
    /// - latents: [B, 4, H, W]; for an inpainting model [B, 9, H, W] with the mask and the masked image's latents behind
    /// - timesteps: B numbers, 0 to 999, fractions too
    /// - conditioning: of B prompts
    /// - output: [B, 4, H, W]
    pub fn paint(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: Conditioning,
        adapters: &Adapters,
        steering: Option<&Residuals>,
    ) -> Tensor<4> {
        let condition = self.condition(&latents, timesteps, conditioning, adapters);
        let condition = Condition { odd_sides: OddSides::AfterConvolution, ..condition };
        through(self.pieces(), latents, steering, |piece, input| piece.run(input, &condition))
    }

    /// What the network holds of noisy latents behind block `up_block` of the way up, counted from 0 as diffusers counts
    /// them, with the enlargement that ends it; what comes later is not computed. Pictures are compared by it (DIFT, Tang
    /// et al. 2023, arXiv 2306.03881).
    ///
    /// # Shapes
    /// - latents: [B, 4, H, W]
    /// - timesteps: B numbers, 0 to 999
    /// - conditioning: of B prompts
    /// - output: [B, C, H', W'] of that block
    ///
    /// # Panics
    /// If there is no such block.
    pub fn behind_up_block(
        &self,
        up_block: usize,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: Conditioning,
    ) -> Tensor<4> {
        let none = Adapters::default();
        let condition = self.condition(&latents, timesteps, conditioning, &none);
        through(self.pieces_through(up_block + 1), latents, None, |piece, input| piece.run(input, &condition))
    }

    /// How many channels it is given: 4, or 9 if it is that of an inpainting model.
    pub fn input_channels(&self) -> usize {
        self.conv_in.channels()
    }

    /// # Shapes
    /// - latents: [B, 4 or 9, H, W]
    fn condition<'a>(
        &self,
        latents: &Tensor<4>,
        timesteps: &[f32],
        conditioning: Conditioning,
        adapters: &'a Adapters,
    ) -> Condition<'a> {
        let Conditioning { context, added } = conditioning;
        let temb = self.time_embedding.forward(timesteps, added.as_ref(), &latents.device(), adapters);
        Condition { temb, context, adapters, odd_sides: OddSides::BeforeConvolution }
    }
}
