//! Layer norms and activations.

use burn::tensor::Tensor;
use lorabake_ops::cuda::activations::{Curve, curved, curved_backward, gated, gated_backward};
use lorabake_ops::cuda::layer_norm::LayerNormLayer;
use lorabake_ops::cuda::{Buffer, Card, Recording};
use lorabake_ops::{LayerNorm, WeightDtype, geglu, quick_gelu};

use super::case::{Case, numbers, numbers_of, tensor, tracked};

/// All of them.
pub fn cases([common, large, _]: [Card; 3]) -> Vec<Case> {
    vec![
        norm(Case::new("layer_norm_48", common), 48),
        norm(Case::new("layer_norm_640", large), 640),
        norm(Case::new("layer_norm_1280", common), 1280),
        elementwise(Case::new("geglu", common), [160, 80], gate, gate_backward, |x| geglu(x, WeightDtype::F32)),
        elementwise(Case::new("gelu", common), [48, 48], exact, exact_backward, gelu),
        elementwise(Case::new("quick_gelu", common), [48, 48], quick, quick_backward, quick_gelu),
    ]
}

type Forward = fn(&mut Recording, &Buffer<usize>) -> Buffer<usize>;
type Backward = fn(&mut Recording, &Buffer<usize>, &Buffer<usize>) -> Buffer<usize>;

fn gate(on: &mut Recording, x: &Buffer<usize>) -> Buffer<usize> {
    gated(on, x).expect("served")
}

fn gate_backward(on: &mut Recording, x: &Buffer<usize>, dy: &Buffer<usize>) -> Buffer<usize> {
    gated_backward(on, x, dy).expect("served")
}

fn exact(on: &mut Recording, x: &Buffer<usize>) -> Buffer<usize> {
    curved(on, Curve::Gelu, x).expect("served")
}

fn exact_backward(on: &mut Recording, x: &Buffer<usize>, dy: &Buffer<usize>) -> Buffer<usize> {
    curved_backward(on, Curve::Gelu, x, dy).expect("served")
}

/// The exact GELU both ways: GEGLU of ones.
fn gelu(x: Tensor<3>) -> Tensor<3> {
    let shape = x.dims();
    let ones = tensor(&vec![1.0; shape.iter().product()], shape).autodiff();
    geglu(Tensor::cat(vec![ones, x], 2), WeightDtype::F32)
}

fn quick(on: &mut Recording, x: &Buffer<usize>) -> Buffer<usize> {
    curved(on, Curve::QuickGelu, x).expect("served")
}

fn quick_backward(on: &mut Recording, x: &Buffer<usize>, dy: &Buffer<usize>) -> Buffer<usize> {
    curved_backward(on, Curve::QuickGelu, x, dy).expect("served")
}

/// Rows of an odd number of tokens.
fn elementwise(
    mut case: Case,
    [width, out]: [usize; 2],
    forward: Forward,
    backward: Backward,
    right: impl Fn(Tensor<3>) -> Tensor<3>,
) -> Case {
    let x = numbers(2 * 11 * width, 1, 2.0);
    let dy = numbers(2 * 11 * out, 2, 1.0);
    let x_there = case.given(&x, &[2, 11, width]);
    let dy_there = case.given(&dy, &[2, 11, out]);
    let y_there = forward(&mut case.recording, &x_there);
    let dx_there = backward(&mut case.recording, &x_there, &dy_there);
    let x = tracked(&x, [2, 11, width]);
    let y = right(x.clone());
    let mut gradients = (y.clone() * tensor(&dy, [2, 11, out]).autodiff()).sum().backward();
    case.expect("y", &y_there, numbers_of(y.inner()), 1);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 1);
    case
}

fn norm(mut case: Case, width: usize) -> Case {
    let own = LayerNorm::new(numbers(width, 7, 1.0), numbers(width, 8, 0.5), 1e-5, WeightDtype::F32);
    let shape = [2, 5, width];
    let x = numbers(10 * width, 1, 2.0);
    let dy = numbers(10 * width, 2, 1.0);
    let x_there = case.given(&x, &shape);
    let dy_there = case.given(&dy, &shape);
    let layer = LayerNormLayer::of(&mut case.recording, &own);
    let y_there = layer.forward(&mut case.recording, &x_there).expect("served");
    let dx_there = layer.backward(&mut case.recording, &x_there, &dy_there).expect("served");
    let x = tracked(&x, shape);
    let y = own.forward(x.clone());
    let mut gradients = (y.clone() * tensor(&dy, shape).autodiff()).sum().backward();
    case.expect("y", &y_there, numbers_of(y.inner()), 1);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 1);
    case
}
