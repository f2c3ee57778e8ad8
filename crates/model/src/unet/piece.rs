//! The forward pass as a row of pieces, each from one tensor, and at times a skip, to one tensor.

use burn::tensor::Tensor;
use lorabake_ops::{Activation, GroupNorm};

use super::resnet::Resnet;
use super::sampling::{Downsample, Upsample};
use super::{Condition, Stage, UNet};
use crate::nn::Conv2d;

/// One step on the way through the UNet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    layer: Layer<'a>,
    /// The last skip that was left is an input too.
    pub takes_skip: bool,
    /// Its output is left as a skip.
    pub leaves_skip: bool,
}

#[derive(Debug, Clone, Copy)]
enum Layer<'a> {
    First(&'a Conv2d),
    Stage(&'a Stage),
    Resnet(&'a Resnet),
    Down(&'a Downsample),
    Up(&'a Upsample),
    Last(&'a GroupNorm, &'a Conv2d),
}

/// What a piece works on.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub x: Tensor<4>,
    pub skip: Option<Tensor<4>>,
    /// Height and width of the skip that comes next: what enlarging leads to.
    pub size: [usize; 2],
}

impl Piece<'_> {
    pub fn run(&self, input: Input, condition: &Condition<'_>) -> Tensor<4> {
        let Input { x, skip, size } = input;
        let x = match skip {
            Some(skip) => Tensor::cat(vec![x, skip], 1),
            None => x,
        };
        match self.layer {
            Layer::First(conv) => conv.forward(x, condition.adapters),
            Layer::Stage(stage) => stage.forward(x, condition),
            Layer::Resnet(resnet) => resnet.forward(x, condition),
            Layer::Down(downsample) => downsample.forward(x, condition.adapters),
            Layer::Up(upsample) => upsample.forward(x, size, condition.adapters),
            Layer::Last(norm, conv) => conv.forward(norm.forward(x, Activation::Silu), condition.adapters),
        }
    }
}

/// Goes through all pieces: `run` gets each with its input, and gives its output.
pub(super) fn through<'a>(
    pieces: Vec<Piece<'a>>,
    latents: Tensor<4>,
    mut run: impl FnMut(Piece<'a>, Input) -> Tensor<4>,
) -> Tensor<4> {
    let mut skips: Vec<Tensor<4>> = Vec::new();
    pieces.into_iter().fold(latents, |x, piece| {
        let skip = piece.takes_skip.then(|| skips.pop().expect("as many skips as stages"));
        let [_, _, height, width] = skips.last().unwrap_or(&x).dims();
        let y = run(piece, Input { x, skip, size: [height, width] });
        if piece.leaves_skip {
            skips.push(y.clone());
        }
        y
    })
}

impl UNet {
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let plain = |layer| Piece { layer, takes_skip: false, leaves_skip: false };
        let leaving = |layer| Piece { leaves_skip: true, ..plain(layer) };
        let mut pieces = vec![leaving(Layer::First(&self.conv_in))];
        for block in &self.down {
            pieces.extend(block.stages.iter().map(|stage| leaving(Layer::Stage(stage))));
            pieces.extend(block.downsample.iter().map(|downsample| leaving(Layer::Down(downsample))));
        }
        pieces.extend([plain(Layer::Stage(&self.middle.0)), plain(Layer::Resnet(&self.middle.1))]);
        for block in &self.up {
            let taking = |stage| Piece { takes_skip: true, ..plain(Layer::Stage(stage)) };
            pieces.extend(block.stages.iter().map(taking));
            pieces.extend(block.upsample.iter().map(|upsample| plain(Layer::Up(upsample))));
        }
        pieces.push(plain(Layer::Last(&self.norm_out, &self.conv_out)));
        pieces
    }
}
