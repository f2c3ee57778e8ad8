//! The forward pass as a row of pieces, each from one tensor, and at times a skip, to one tensor.

use burn::tensor::Tensor;
use lorabake_ops::Activation;

use super::UNet;
use super::blocks::Stage;
use super::condition::Condition;
use super::first::First;
use super::residuals::Residuals;
use super::resnet::Resnet;
use super::sampling::{Downsample, Upsample};
use crate::nn::{Conv2d, GroupNorm};

/// One step on the way through the UNet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    layer: Layer<'a>,
    /// The last skip that was left is an input too.
    pub takes_skip: bool,
    /// The output is left as a skip.
    pub leaves_skip: bool,
    /// The output is that of the deepest level.
    pub ends_middle: bool,
}

#[derive(Debug, Clone, Copy)]
enum Layer<'a> {
    First(&'a First),
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

impl<'a> Piece<'a> {
    /// A piece that neither takes nor leaves a skip.
    fn of(layer: Layer<'a>) -> Self {
        Self { layer, takes_skip: false, leaves_skip: false, ends_middle: false }
    }

    /// # Shapes
    /// - input: [B, C, H, W], the skip as high and wide
    /// - output: [B, C', H', W']
    pub fn run(&self, input: Input, condition: &Condition<'_>) -> Tensor<4> {
        let Input { x, skip, size } = input;
        let x = match skip {
            Some(skip) => Tensor::cat(vec![x, skip], 1),
            None => x,
        };
        match self.layer {
            Layer::First(first) => first.forward(x, condition.adapters),
            Layer::Stage(stage) => stage.forward(x, condition),
            Layer::Resnet(resnet) => resnet.forward(x, condition),
            Layer::Down(downsample) => downsample.forward(x, condition.adapters),
            Layer::Up(upsample) => upsample.forward(x, size, condition),
            Layer::Last(norm, conv) => {
                conv.forward(norm.forward(x, Activation::Silu, condition.adapters), condition.adapters)
            }
        }
    }
}

/// Goes through all pieces: `run` gets each piece with its input, and returns its output. What steers the network is added
/// to the skips when they are taken, and to what the deepest level gives.
///
/// # Shapes
/// - latents: [B, 4 or 9, H, W]
/// - output: [B, 4, H, W]
pub(super) fn through<'a>(
    pieces: Vec<Piece<'a>>,
    latents: Tensor<4>,
    steering: Option<&Residuals>,
    mut run: impl FnMut(Piece<'a>, Input) -> Tensor<4>,
) -> Tensor<4> {
    let mut skips: Vec<Tensor<4>> = Vec::new();
    let mut x = latents;
    for piece in pieces {
        let mut skip = if piece.takes_skip { Some(skips.pop().expect("as many skips as stages")) } else { None };
        if let Some(steering) = steering {
            skip = skip.map(|skip| steering.add_to_skip(skip, skips.len()));
        }
        let [_, _, height, width] = skips.last().unwrap_or(&x).dims();
        x = run(piece, Input { x, skip, size: [height, width] });
        if piece.leaves_skip {
            skips.push(x.clone());
        }
        if let Some(steering) = steering
            && piece.ends_middle
        {
            x = steering.add_to_middle(x);
        }
    }
    x
}

impl UNet {
    /// The forward pass in order.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = self.pieces_through(self.up_blocks.len());
        pieces.push(Piece::of(Layer::Last(&self.conv_norm_out, &self.conv_out)));
        pieces
    }

    /// The forward pass up to the end of the first `up_blocks` blocks on the way up.
    pub(super) fn pieces_through(&self, up_blocks: usize) -> Vec<Piece<'_>> {
        let mut pieces = vec![Piece { leaves_skip: true, ..Piece::of(Layer::First(&self.conv_in)) }];
        for block in &self.down_blocks {
            for stage in &block.stages {
                pieces.push(Piece { leaves_skip: true, ..Piece::of(Layer::Stage(stage)) });
            }
            if let Some(downsample) = &block.downsample {
                pieces.push(Piece { leaves_skip: true, ..Piece::of(Layer::Down(downsample)) });
            }
        }
        pieces.push(Piece::of(Layer::Stage(&self.mid_block.stage)));
        pieces.push(Piece { ends_middle: true, ..Piece::of(Layer::Resnet(&self.mid_block.resnet)) });
        for block in &self.up_blocks[..up_blocks] {
            for stage in &block.stages {
                pieces.push(Piece { takes_skip: true, ..Piece::of(Layer::Stage(stage)) });
            }
            if let Some(upsample) = &block.upsample {
                pieces.push(Piece::of(Layer::Up(upsample)));
            }
        }
        pieces
    }
}
