//! The blocks of the UNet, level by level. `piece.rs` runs what they are made of.

use burn::tensor::Tensor;

use super::condition::Condition;
use super::resnet::Resnet;
use super::sampling::{Downsample, Upsample};
use super::transformer::Transformer;
use crate::nn::Builder;

/// Numbers of channels on the way through the network, while it is built.
pub(crate) struct Channels {
    /// Channels of the first level.
    pub first: usize,
    /// Channels of the tensor that the next layer gets.
    pub current: usize,
    /// Channels of the skips that were left and not yet taken.
    pub skips: Vec<usize>,
}

/// A residual block, and the transformer that may follow it.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Stage {
    /// Resnet `index` of the block at `path` and what follows it, for `[inputs, outputs]` channels; `width` is that of the
    /// first level.
    pub fn build(
        b: &mut Builder<'_, '_>,
        path: &str,
        index: usize,
        [inputs, outputs]: [usize; 2],
        width: usize,
    ) -> Self {
        let resnet = Resnet::build(b, &format!("{path}.resnets.{index}"), [inputs, outputs], width);
        let attention = format!("{path}.attentions.{index}");
        let mut transformer = None;
        if b.has(&format!("{attention}.norm.weight")) {
            transformer = Some(Transformer::build(b, &attention, outputs));
        }
        Self { resnet, transformer }
    }

    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H, W]
    pub fn forward(&self, x: Tensor<4>, condition: &Condition<'_>) -> Tensor<4> {
        let x = self.resnet.forward(x, condition);
        match &self.transformer {
            Some(transformer) => transformer.forward(x, condition),
            None => x,
        }
    }
}

/// One level on the way down.
#[derive(Debug, Clone)]
pub(crate) struct DownBlock {
    pub stages: Vec<Stage>,
    pub downsample: Option<Downsample>,
}

impl DownBlock {
    pub fn build(b: &mut Builder<'_, '_>, level: usize, channels: &mut Channels) -> Self {
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

/// The deepest level.
#[derive(Debug, Clone)]
pub(crate) struct MidBlock {
    pub stage: Stage,
    pub resnet: Resnet,
}

impl MidBlock {
    pub fn build(b: &mut Builder<'_, '_>, channels: &Channels) -> Self {
        let extents = [channels.current, channels.current];
        let stage = Stage::build(b, "mid_block", 0, extents, channels.first);
        let resnet = Resnet::build(b, "mid_block.resnets.1", extents, channels.first);
        Self { stage, resnet }
    }
}

/// One level on the way up.
#[derive(Debug, Clone)]
pub(crate) struct UpBlock {
    pub stages: Vec<Stage>,
    pub upsample: Option<Upsample>,
}

impl UpBlock {
    pub fn build(b: &mut Builder<'_, '_>, level: usize, channels: &mut Channels) -> Self {
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
