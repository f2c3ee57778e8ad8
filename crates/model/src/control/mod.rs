//! ControlNets: a copy of the UNet's way down that sees an image too, and whose outputs steer the UNet (Zhang et al. 2023,
//! "Adding Conditional Control to Text-to-Image Diffusion Models"; names as in diffusers' `ControlNetModel`).

mod hint;
mod strength;

use std::path::Path;

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::{FrozenConv, WeightDtype};
use lorabake_weights::network_file::control;
use lorabake_weights::{Checkpoint, Error, NetworkFile};

use crate::conditioning::Conditioning;
use crate::nn::{self, Builder, Conv2d};
use crate::unet::blocks::{Channels, DownBlock, Stage};
use crate::unet::condition::{Condition, OddSides};
use crate::unet::resnet::Resnet;
use crate::unet::sampling::nearest;
use crate::unet::time::TimeEmbedding;
use hint::HintEmbedding;
pub use strength::{Mode, scales};

/// Channels of latents; what an inpainting model is given beyond them, a ControlNet does not see.
const LATENT_CHANNELS: usize = 4;

/// A ControlNet.
#[derive(Debug, Clone)]
pub struct ControlNet {
    time_embedding: TimeEmbedding,
    conv_in: Conv2d,
    hint_embedding: HintEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    /// One for each skip, then one for the deepest level.
    zero_convs: Vec<FrozenConv>,
    /// Only the mean of each channel steers.
    pools: bool,
}

/// The deepest level; the smallest nets of SDXL have a part of it.
#[derive(Debug, Clone)]
struct MidBlock {
    stage: Stage,
    resnet: Option<Resnet>,
}

impl ControlNet {
    /// Reads the net at `path`, a file of safetensors or PyTorch in the original naming or that of diffusers, for use beside
    /// the model of `checkpoint`, with its matrices in `dtype`. A net of SD1.x or SD2.x whose file has `shuffle` in its name
    /// steers by the means of its outputs (sd-webui-controlnet's rule; such files do not say so otherwise).
    ///
    /// # Errors
    /// When it cannot be read, is no ControlNet, is for another family of models, or its tensors do not fit.
    pub fn open(path: &Path, checkpoint: &Checkpoint, dtype: WeightDtype) -> Result<Self, Error> {
        Self::read(&control::open(path, checkpoint)?, dtype)
    }

    /// Reads the net of an open file, with its matrices in `dtype`.
    ///
    /// # Errors
    /// When its tensors do not fit.
    pub fn read(file: &NetworkFile, dtype: WeightDtype) -> Result<Self, Error> {
        let stem = Path::new(file.label()).file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
        let is_shuffle = stem.is_some_and(|stem| stem.contains("shuffle"));
        let net = nn::read(file, dtype, Self::build)?;
        let pools = is_shuffle && !net.time_embedding.takes_added();
        Ok(Self { pools, ..net })
    }

    fn build(mut b: Builder<'_, '_>) -> Self {
        let [width] = b.dims("conv_in.weight");
        let levels = b.count(|i| format!("down_blocks.{i}.resnets.0.conv1.weight"));
        let time_embedding = TimeEmbedding::build(&mut b, width);
        let conv_in = b.conv("conv_in", Builder::same(LATENT_CHANNELS, width), Role::Stem);
        let hint_embedding = HintEmbedding::build(&mut b, width);
        let mut channels = Channels { first: width, current: width, skips: vec![width] };
        let mut down_blocks = Vec::new();
        for level in 0..levels {
            down_blocks.push(DownBlock::build(&mut b, level, &mut channels));
        }
        let deepest = [channels.current; 2];
        let stage = Stage::build(&mut b, "mid_block", 0, deepest, width);
        let mut resnet = None;
        if b.has("mid_block.resnets.1.conv1.weight") {
            resnet = Some(Resnet::build(&mut b, "mid_block.resnets.1", deepest, width));
        }
        let mut zero_convs = Vec::new();
        for (index, skip) in channels.skips.iter().enumerate() {
            zero_convs
                .push(b.frozen_conv(&format!("controlnet_down_blocks.{index}"), Builder::pointwise(*skip, *skip)));
        }
        let [inputs, outputs] = deepest;
        zero_convs.push(b.frozen_conv("controlnet_mid_block", Builder::pointwise(inputs, outputs)));
        let mid_block = MidBlock { stage, resnet };
        Self { time_embedding, conv_in, hint_embedding, down_blocks, mid_block, zero_convs, pools: false }
    }

    /// How many outputs there are: 13 for SD1.x and SD2.x, 10 for SDXL.
    pub fn outputs(&self) -> usize {
        self.zero_convs.len()
    }

    /// Whether only the means of its outputs steer. Such a net acts on the prompt's half of guidance alone, whatever the
    /// mode.
    pub fn pools(&self) -> bool {
        self.pools
    }

    /// What the net makes of an image before the first step; it is the same for all steps.
    ///
    /// # Shapes
    /// - image: [B or 1, 3, 8·H, 8·W], 0 to 1
    /// - output: [B or 1, C, H, W]
    pub fn hint(&self, image: Tensor<4>) -> Tensor<4> {
        self.hint_embedding.forward(image)
    }

    /// The outputs for noisy latents: one for each skip of the UNet in the order in which they are left, then one for its
    /// deepest level.
    ///
    /// # Shapes
    /// - latents: [B, 4, H, W], as the UNet is given them; of an inpainting model's 9 channels the first 4 count
    /// - timesteps: B numbers, 0 to 999
    /// - conditioning: of B prompts
    /// - hint: of [`ControlNet::hint`]; of another size, it is brought to that of the latents
    /// - output: 13 or 10 of [B, C', H', W'], or of [B, C', 1, 1] if it [pools](ControlNet::pools)
    pub fn forward(
        &self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: Conditioning,
        hint: Tensor<4>,
    ) -> Vec<Tensor<4>> {
        let adapters = Adapters::default();
        let Conditioning { context, added } = conditioning;
        let temb = self.time_embedding.forward(timesteps, added.as_ref(), &latents.device(), &adapters);
        let condition = Condition { temb, context, adapters: &adapters, odd_sides: OddSides::AfterConvolution };
        let [_, _, height, width] = latents.dims();
        let latents = latents.narrow(1, 0, LATENT_CHANNELS);
        let mut x = self.conv_in.forward(latents, &adapters) + nearest(hint, [height, width]);
        let mut flow = vec![x.clone()];
        for block in &self.down_blocks {
            for stage in &block.stages {
                x = stage.forward(x, &condition);
                flow.push(x.clone());
            }
            if let Some(downsample) = &block.downsample {
                x = downsample.forward(x, &adapters);
                flow.push(x.clone());
            }
        }
        x = self.mid_block.stage.forward(x, &condition);
        if let Some(resnet) = &self.mid_block.resnet {
            x = resnet.forward(x, &condition);
        }
        flow.push(x);
        let mut outputs = Vec::new();
        for (x, zero_conv) in flow.into_iter().zip(&self.zero_convs) {
            let y = zero_conv.forward(x);
            outputs.push(if self.pools { y.mean_dim(2).mean_dim(3) } else { y });
        }
        outputs
    }
}
