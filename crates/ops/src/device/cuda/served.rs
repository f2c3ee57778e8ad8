//! Tests: what is planned for the sizes of real models, and what says that it is not served.

use super::*;
use crate::{Activation, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, LayerNorm, Mask, WeightDtype};

const H200: Card = Card { target: Target::Sm90a, multiprocessors: 132 };
const RTX_3060: Card = Card { target: Target::Sm80, multiprocessors: 28 };

/// An array that is nowhere.
fn array(array: Array) -> Buffer<()> {
    Buffer { array, handle: () }
}

fn half(shape: &[usize]) -> Buffer<()> {
    array(Array::half(shape))
}

fn matrix(rows: usize, columns: usize, dtype: WeightDtype) -> FrozenMatrix {
    FrozenMatrix::new(rows, columns, vec![0.5; rows * columns], dtype)
}

fn frozen(shape: &[usize]) -> FrozenWeight<()> {
    FrozenWeight { numbers: half(shape), scales: None }
}

fn names<H>(launch: &Launch<H>) -> Vec<&str> {
    launch.arguments.iter().map(|bound| bound.name).collect()
}

#[test]
fn a_feed_forward_of_sdxl() {
    let weight = frozen(&[5120, 640]);
    let bias = array(Array::f32(&[5120]));
    let launch = linear::forward(&H200, &weight, &bias, &half(&[1, 4096, 640]), None, &half(&[1, 4096, 5120])).unwrap();
    assert_eq!(launch.kernel.name, "linear_bf16_128x256x64");
    assert_eq!(launch.grid, [20, 32, 1]);
    assert_eq!(launch.kernel.threads(), 256);
    assert_eq!(names(&launch), ["x", "w", "scales", "bias", "t", "up", "y", "m", "n", "k", "r"]);
    let Argument::Int(rank) = launch.arguments[10].argument else { panic!("a count") };
    assert_eq!(rank, 0);
}

#[test]
fn a_convolution_of_sd15_and_its_gradient() {
    let shape = ConvShape { inputs: 320, outputs: 320, kernel: 3, stride: 2, padding: 1 };
    let weight = frozen(&[320, 3, 3, 320]);
    let bias = array(Array::f32(&[320]));
    let x = half(&[2, 64, 56, 320]);
    let y = half(&[2, 32, 28, 320]);
    let launch = conv3x3::forward(&RTX_3060, shape, &weight, &bias, &x, &y).unwrap();
    assert_eq!((launch.kernel.name.as_str(), launch.grid), ("conv3x3_s2_bf16_128x128x64", [3, 7, 2]));
    let launch = conv3x3::backward(&RTX_3060, shape, &weight, &bias, &y, &x).unwrap();
    assert_eq!((launch.kernel.name.as_str(), launch.grid), ("conv3x3_s2_dx_bf16_64x64x64", [5, 14, 8]));
}

#[test]
fn gradients_of_a_rank_are_split_among_blocks() {
    // One part would be 10 blocks for 28 multiprocessors.
    assert_eq!(low_rank::rows_of_part(&RTX_3060, low_rank::Side::Down, [4096, 1280, 16]), 1408);
    // As many blocks as are needed without parts.
    assert_eq!(low_rank::rows_of_part(&RTX_3060, low_rank::Side::Up, [4096, 5120, 16]), 4096);
    // A part has a whole tile of rows at least.
    assert_eq!(low_rank::rows_of_part(&H200, low_rank::Side::Down, [77, 768, 16]), 64);
}

#[test]
fn what_is_not_served_says_so() {
    let on = &mut Recording::new(RTX_3060);
    let wide = FrozenLinear::new(matrix(16, 16, WeightDtype::F32), None);
    assert_eq!(linear::LinearLayer::of(on, &wide).unwrap_err(), NotServed::Precision);

    let shape = ConvShape { inputs: 4, outputs: 4, kernel: 5, stride: 1, padding: 1 };
    let conv = FrozenConv::new(shape, matrix(4, 100, WeightDtype::Bf16), None);
    assert!(matches!(conv3x3::ConvLayer::of(on, &conv).unwrap_err(), NotServed::Form(_)));

    let x = on.empty(Array::half(&[1, 4, 4, 24]));
    let norm = GroupNorm::new(vec![1.0; 24], vec![0.0; 24], 4, 1e-5);
    let norm = group_norm::GroupNormLayer::of(on, &norm, Activation::Silu);
    assert_eq!(norm.forward(on, &x).unwrap_err(), NotServed::Width(24));
    let x = on.empty(Array::half(&[1, 2, 2, 320]));
    let norm = GroupNorm::new(vec![1.0; 320], vec![0.0; 320], 2, 1e-5);
    let norm = group_norm::GroupNormLayer::of(on, &norm, Activation::None);
    assert_eq!(norm.forward(on, &x).unwrap_err(), NotServed::Group(160));

    let x = on.empty(Array::half(&[3, 2064]));
    let norm = LayerNorm::new(vec![1.0; 2064], vec![0.0; 2064], 1e-5, WeightDtype::Bf16);
    let norm = layer_norm::LayerNormLayer::of(on, &norm);
    assert_eq!(norm.forward(on, &x).unwrap_err(), NotServed::Row(2064));

    let q = on.empty(Array::half(&[1, 64, 1, 512]));
    let attended = attention::attend(on, &q, &q, &q, Mask::None).unwrap();
    assert_eq!(attended.backward(on, &q).unwrap_err(), NotServed::Head(512));
    assert_eq!(attention::attend(on, &q, &q, &q, Mask::Causal).unwrap_err(), NotServed::Head(512));
}

/// An image of the VAE at 4096 × 4096 has 2³¹ numbers.
#[test]
fn more_numbers_than_the_kernels_count_are_refused() {
    let shape = ConvShape { inputs: 128, outputs: 128, kernel: 3, stride: 1, padding: 1 };
    let image = half(&[1, 4096, 4096, 128]);
    let bias = array(Array::f32(&[128]));
    let planned = conv3x3::forward(&H200, shape, &frozen(&[128, 3, 3, 128]), &bias, &image, &image);
    assert_eq!(planned.unwrap_err(), NotServed::Size(1 << 31));
    let planned = activations::curve(&H200, activations::Curve::Gelu, &image, &image);
    assert_eq!(planned.unwrap_err(), NotServed::Size(1 << 31));
}

/// A forgotten or mistaken argument is a fault of ours, and no launch.
#[test]
#[should_panic(expected = "nothing is given for groups")]
fn arguments_are_those_of_the_kernel() {
    let kernel = H200.only("group_norm_dx_means");
    let numbers = array(Array::f32(&[1]));
    let call = launch::Call::over(kernel, [1, 1, 1]).pointer("parts", &numbers).pointer("means", &numbers);
    let call = call.int("pixels", 1).int("c", 16).int("slabs", 1).number("epsilon", 1e-5);
    let _ = call.planned();
}
