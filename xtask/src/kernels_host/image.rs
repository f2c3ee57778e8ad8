//! Convolutions and group norms of images, which have their channels last on the card.

use burn::tensor::Tensor;
use lorabake_ops::cuda::Card;
use lorabake_ops::cuda::conv3x3::ConvLayer;
use lorabake_ops::cuda::group_norm::GroupNormLayer;
use lorabake_ops::cuda::linear::LinearLayer;
use lorabake_ops::{Activation, ConvShape, FrozenConv, GroupNorm, WeightDtype};

use super::case::{BF16_ROUNDING, Case, ROUNDING, Twice, numbers, numbers_of, tensor, tracked};

/// Images and a convolution of them.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    height: usize,
    width: usize,
    shape: ConvShape,
}

/// All of them.
pub fn cases([common, large, medium]: [Card; 3]) -> Vec<Case> {
    let of = |sides: [usize; 3], channels: [usize; 2], strided: [usize; 3]| {
        let [batch, height, width] = sides;
        let [inputs, outputs] = channels;
        let [kernel, stride, padding] = strided;
        Sizes { batch, height, width, shape: ConvShape { inputs, outputs, kernel, stride, padding } }
    };
    let bf16 = WeightDtype::Bf16;
    let same = [3, 1, 1];
    let halved = [3, 2, 1];
    vec![
        // Latents go in and out.
        convolution(Case::new("conv_in", common), of([2, 9, 7], [4, 32], same), bf16),
        convolution(Case::new("conv_out", common), of([1, 8, 5], [48, 4], same), bf16),
        convolution(Case::new("conv_large_tile", large), of([1, 13, 11], [80, 272], same), bf16),
        convolution(Case::new("conv_medium_tile", medium), of([1, 13, 11], [48, 144], same), bf16),
        convolution(Case::new("conv_halves", common), of([2, 9, 8], [32, 48], halved), bf16),
        convolution(Case::new("conv_halves_even", large), of([1, 12, 10], [32, 80], halved), bf16),
        convolution(Case::new("conv_int8", common), of([1, 7, 9], [128, 48], same), WeightDtype::Int8),
        convolution(Case::new("conv_int8_medium_tile", medium), of([1, 12, 11], [64, 144], same), WeightDtype::Int8),
        convolution(Case::new("conv_int8_padded", common), of([1, 5, 6], [80, 20], same), WeightDtype::Int8),
        halved_unpadded(Case::new("conv_vae_halves", common), of([1, 9, 11], [32, 32], [3, 2, 0])),
        pointwise(Case::new("conv_pointwise", common), of([2, 5, 7], [96, 32], [1, 1, 0])),
        norm(Case::new("norm", common), of([2, 9, 7], [32, 32], same), Activation::None),
        norm_and_convolution(Case::new("norm_and_conv", common), of([2, 5, 7], [16, 32], same)),
        norm_and_convolution(Case::new("norm_and_conv_large", large), of([1, 19, 13], [160, 32], same)),
    ]
}

/// Images [B, H, W, C] on the card, [B, C, H, W] here.
fn turned(x: Tensor<4>) -> Tensor<4> {
    x.permute([0, 3, 1, 2])
}

/// The way back.
fn turned_back(x: Tensor<4>) -> Vec<f32> {
    numbers_of(x.permute([0, 2, 3, 1]))
}

impl Sizes {
    fn input(self) -> [usize; 4] {
        [self.batch, self.height, self.width, self.shape.inputs]
    }

    fn output(self) -> [usize; 4] {
        let [height, width] = [self.height, self.width].map(|side| self.shape.output_side(side));
        [self.batch, height, width, self.shape.outputs]
    }

    /// For card and processor.
    fn convolutions(self, dtype: WeightDtype) -> [FrozenConv; 2] {
        let Twice { card, processor } = Twice::new(self.shape.outputs, self.shape.patch(), 4, dtype);
        let bias = numbers(self.shape.outputs, 3, 1.0);
        [card, processor].map(|matrix| FrozenConv::new(self.shape, matrix, Some(bias.clone())))
    }
}

fn convolution(mut case: Case, sizes: Sizes, dtype: WeightDtype) -> Case {
    let x = numbers(sizes.input().iter().product(), 1, 1.0);
    let dy = numbers(sizes.output().iter().product(), 2, 1.0);
    let [on_card, conv] = sizes.convolutions(dtype);
    let x_there = case.given(&x, &sizes.input());
    let dy_there = case.given(&dy, &sizes.output());
    let layer = ConvLayer::of(&mut case.recording, &on_card).expect("served");
    let y_there = layer.forward(&mut case.recording, &x_there).expect("served");
    let sides = [sizes.height, sizes.width];
    let dx_there = layer.backward(&mut case.recording, &dy_there, sides).expect("served");

    let x = tracked(&x, sizes.input());
    let y = conv.forward(turned(x.clone()));
    let dy = turned(tensor(&dy, sizes.output())).autodiff();
    let mut gradients = (y.clone() * dy).sum().backward();
    let tolerance = match dtype {
        WeightDtype::F32 | WeightDtype::Bf16 => ROUNDING,
        // Taps come before channels, so that blocks of 128 are others: linear.rs says how far off that is.
        WeightDtype::Int8 => 3.0f64.sqrt() / 127.0 / 12.0f64.sqrt() + BF16_ROUNDING / 2.0 + 2.0 * ROUNDING,
    };
    case.expect_within("y", &y_there, turned_back(y.inner()), tolerance);
    let dx = x.grad_remove(&mut gradients).expect("tracked");
    case.expect_within("dx", &dx_there, numbers_of(dx), tolerance);
    case
}

/// As the VAE halves an image, with zeros behind it alone; the card's kernel sees them where the image ends.
fn halved_unpadded(mut case: Case, sizes: Sizes) -> Case {
    let x = numbers(sizes.input().iter().product(), 1, 1.0);
    let [on_card, conv] = sizes.convolutions(WeightDtype::Bf16);
    let x_there = case.given(&x, &sizes.input());
    let layer = ConvLayer::of(&mut case.recording, &on_card).expect("served");
    let y_there = layer.forward(&mut case.recording, &x_there).expect("served");
    let y = conv.forward(turned(tensor(&x, sizes.input())));
    case.expect("y", &y_there, turned_back(y), 1);
    case
}

fn pointwise(mut case: Case, sizes: Sizes) -> Case {
    let x = numbers(sizes.input().iter().product(), 1, 1.0);
    let dy = numbers(sizes.output().iter().product(), 2, 1.0);
    let [on_card, conv] = sizes.convolutions(WeightDtype::Bf16);
    let x_there = case.given(&x, &sizes.input());
    let dy_there = case.given(&dy, &sizes.output());
    let layer = LinearLayer::of_pointwise(&mut case.recording, &on_card).expect("served");
    let y_there = layer.forward(&mut case.recording, &x_there, None).expect("served").y;
    let dx_there = layer.backward(&mut case.recording, &dy_there, None).expect("served").dx;

    let x = tracked(&x, sizes.input());
    let y = conv.forward(turned(x.clone()));
    let dy = turned(tensor(&dy, sizes.output())).autodiff();
    let mut gradients = (y.clone() * dy).sum().backward();
    case.expect("y", &y_there, turned_back(y.inner()), 1);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 1);
    case
}

/// A norm of as many groups as there are pairs of channels.
fn group_norm(channels: usize) -> GroupNorm {
    GroupNorm::new(numbers(channels, 7, 1.0), numbers(channels, 8, 0.5), channels / 2, 1e-5)
}

fn norm(mut case: Case, sizes: Sizes, activation: Activation) -> Case {
    let own = group_norm(sizes.shape.inputs);
    let x = numbers(sizes.input().iter().product(), 1, 2.0);
    let dy = numbers(sizes.input().iter().product(), 2, 1.0);
    let x_there = case.given(&x, &sizes.input());
    let dy_there = case.given(&dy, &sizes.input());
    let layer = GroupNormLayer::of(&mut case.recording, &own, activation);
    let normalized = layer.forward(&mut case.recording, &x_there).expect("served");
    let dx_there = layer.backward(&mut case.recording, &normalized, &dy_there).expect("served");

    let x = tracked(&x, sizes.input());
    let y = own.forward(turned(x.clone()), activation);
    let dy = turned(tensor(&dy, sizes.input())).autodiff();
    let mut gradients = (y.clone() * dy).sum().backward();
    case.expect("y", &normalized.y, turned_back(y.inner()), 1);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 1);
    case
}

/// Norm, SiLU and convolution, and all the way back.
fn norm_and_convolution(mut case: Case, sizes: Sizes) -> Case {
    let own = group_norm(sizes.shape.inputs);
    let x = numbers(sizes.input().iter().product(), 1, 2.0);
    let dy = numbers(sizes.output().iter().product(), 2, 1.0);
    let [on_card, conv] = sizes.convolutions(WeightDtype::Bf16);
    let x_there = case.given(&x, &sizes.input());
    let dy_there = case.given(&dy, &sizes.output());
    let on = &mut case.recording;
    let norm = GroupNormLayer::of(on, &own, Activation::Silu);
    let layer = ConvLayer::of(on, &on_card).expect("served");
    let normalized = norm.forward(on, &x_there).expect("served");
    let y_there = layer.forward(on, &normalized.y).expect("served");
    let back = layer.backward(on, &dy_there, [sizes.height, sizes.width]).expect("served");
    let dx_there = norm.backward(on, &normalized, &back).expect("served");

    let x = tracked(&x, sizes.input());
    let y = conv.forward(own.forward(turned(x.clone()), Activation::Silu));
    let dy = turned(tensor(&dy, sizes.output())).autodiff();
    let mut gradients = (y.clone() * dy).sum().backward();
    // What lies between, and the result.
    case.expect("y", &y_there, turned_back(y.inner()), 2);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 2);
    case
}
