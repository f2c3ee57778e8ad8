//! A residual block with the time, as `model/unet/resnet.rs` composes it.

use burn::tensor::Tensor;
use lorabake_ops::cuda::conv3x3::ConvLayer;
use lorabake_ops::cuda::group_norm::{GroupNormLayer, Normalized};
use lorabake_ops::cuda::linear::LinearLayer;
use lorabake_ops::cuda::{Buffer, Launcher, Recording};
use lorabake_ops::{Activation, ConvShape, FrozenConv, GroupNorm, WeightDtype};

use super::super::case::{Case, Twice, numbers};

/// Norm, convolution, time, norm, convolution; a pointwise convolution beside them where channels change.
pub struct Residual {
    norms: [Norm; 2],
    convs: [Conv; 2],
    shortcut: Option<Shortcut>,
}

/// A group norm on both.
pub struct Norm {
    pub processor: GroupNorm,
    pub card: GroupNormLayer<usize>,
}

/// A 3×3 convolution on both.
pub struct Conv {
    pub processor: FrozenConv,
    pub card: ConvLayer<usize>,
}

struct Shortcut {
    processor: FrozenConv,
    card: LinearLayer<usize>,
}

/// What the backward pass of a block reads.
pub struct Passed {
    first: Normalized<usize>,
    second: Normalized<usize>,
    /// The output [B, H, W, C].
    pub y: Buffer<usize>,
}

impl Norm {
    /// Of groups of four channels, by `salt`.
    pub fn new(case: &mut Case, channels: usize, activation: Activation, salt: u64) -> Self {
        let beta = numbers(channels, salt + 1, 0.5);
        let processor = GroupNorm::new(numbers(channels, salt, 1.0), beta, channels / 4, 1e-5);
        let card = GroupNormLayer::of(&mut case.recording, &processor, activation);
        Self { processor, card }
    }
}

impl Conv {
    /// Of `[inputs, outputs]` channels, by `salt`.
    pub fn new(case: &mut Case, channels: [usize; 2], stride: usize, salt: u64) -> Self {
        let [inputs, outputs] = channels;
        let [on_card, processor] = both(ConvShape { inputs, outputs, kernel: 3, stride, padding: 1 }, salt);
        Self { processor, card: ConvLayer::of(&mut case.recording, &on_card).expect("served") }
    }
}

/// A convolution for the card, and for the processor.
fn both(shape: ConvShape, salt: u64) -> [FrozenConv; 2] {
    let Twice { card, processor } = Twice::new(shape.outputs, shape.patch(), salt, WeightDtype::Bf16);
    let bias = numbers(shape.outputs, salt + 1, 0.5);
    [card, processor].map(|matrix| FrozenConv::new(shape, matrix, Some(bias.clone())))
}

impl Residual {
    /// How often a number is rounded on its longest way: norm, convolution, sum, norm, convolution, sum.
    pub const ROUNDINGS: u32 = 6;

    /// Of `[inputs, outputs]` channels, by `salt`.
    pub fn new(case: &mut Case, channels: [usize; 2], salt: u64) -> Self {
        let [inputs, outputs] = channels;
        let norms =
            [Norm::new(case, inputs, Activation::Silu, salt), Norm::new(case, outputs, Activation::Silu, salt + 2)];
        let convs = [Conv::new(case, channels, 1, salt + 4), Conv::new(case, [outputs, outputs], 1, salt + 6)];
        let mut shortcut = None;
        if inputs != outputs {
            let shape = ConvShape { inputs, outputs, kernel: 1, stride: 1, padding: 0 };
            let [on_card, processor] = both(shape, salt + 8);
            let card = LinearLayer::of_pointwise(&mut case.recording, &on_card).expect("served");
            shortcut = Some(Shortcut { processor, card });
        }
        Self { norms, convs, shortcut }
    }

    /// On the processor.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]; time: [B, out, 1, 1]
    /// - output: [B, out, H, W]
    pub fn forward(&self, x: Tensor<4>, time: Tensor<4>) -> Tensor<4> {
        let [norm1, norm2] = &self.norms;
        let [conv1, conv2] = &self.convs;
        let h = conv1.processor.forward(norm1.processor.forward(x.clone(), Activation::Silu)) + time;
        let h = conv2.processor.forward(norm2.processor.forward(h, Activation::Silu));
        match &self.shortcut {
            Some(shortcut) => shortcut.processor.forward(x) + h,
            None => x + h,
        }
    }

    /// On the card: x [B, H, W, in], time [B, 1, 1, out].
    pub fn launched(&self, on: &mut Recording, x: &Buffer<usize>, time: &Buffer<usize>) -> Passed {
        let [norm1, norm2] = &self.norms;
        let [conv1, conv2] = &self.convs;
        let first = norm1.card.forward(on, x).expect("served");
        let h = conv1.card.forward(on, &first.y).expect("served");
        let h = on.sum(&h, time);
        let second = norm2.card.forward(on, &h).expect("served");
        let h = conv2.card.forward(on, &second.y).expect("served");
        let y = match &self.shortcut {
            Some(shortcut) => {
                let beside = shortcut.card.forward(on, x, None).expect("served");
                on.sum(&beside.y, &h)
            }
            None => on.sum(x, &h),
        };
        Passed { first, second, y }
    }

    /// dx on the card.
    pub fn launched_back(&self, on: &mut Recording, passed: &Passed, dy: &Buffer<usize>) -> Buffer<usize> {
        let [norm1, norm2] = &self.norms;
        let [conv1, conv2] = &self.convs;
        let [_, height, width, _] = dy.extents();
        let back = conv2.card.backward(on, dy, [height, width]).expect("served");
        let back = norm2.card.backward(on, &passed.second, &back).expect("served");
        let back = conv1.card.backward(on, &back, [height, width]).expect("served");
        let back = norm1.card.backward(on, &passed.first, &back).expect("served");
        match &self.shortcut {
            Some(shortcut) => {
                let beside = shortcut.card.backward(on, dy, None).expect("served");
                on.sum(&beside.dx, &back)
            }
            None => on.sum(dy, &back),
        }
    }
}
