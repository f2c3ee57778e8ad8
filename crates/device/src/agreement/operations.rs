//! Every operation of `ops` on a device and on the processor, forward and backward, and an image that a device cuts into
//! bands.

use burn::tensor::{Device, FloatDType, Tensor};
use lorabake_ops::{
    Activation, Before, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, Image, LayerNorm, Mask,
    WeightDtype, attention, geglu, half_of,
};

use super::Agreement;
use crate::trial::{apart, tensor, uniform_values};

/// Outputs and gradients agree to this relative distance where numbers have 32 bits,
const WHOLE: f64 = 3e-6;
/// and to this where products are of bf16 numbers: one eighth of a percent each, summed.
const HALVED: f64 = 1e-2;
/// An image that a convolution to 32 channels in steps of two cuts into three bands; a GPU in software has no room for larger
/// ones.
const LARGE: [usize; 4] = [1, 4, 1600, 1600];

/// An operation of some tensors.
type Operation = Box<dyn Fn(&[Tensor<4>]) -> Tensor<4>>;

struct Case {
    name: String,
    shapes: Vec<[usize; 4]>,
    tolerance: f64,
    operation: Operation,
}

/// Each, with the worst of its output and gradients.
pub(super) fn agree(device: &Device) -> Vec<Agreement> {
    let mut found = Vec::new();
    for case in cases(half_of(device)) {
        let theirs = run(&case, device);
        let ours = run(&case, &Device::flex());
        let mut distance = 0.0;
        for (theirs, ours) in theirs.iter().zip(&ours) {
            let next = apart(theirs, ours);
            distance = if next.is_nan() || next > distance { next } else { distance };
        }
        found.push(Agreement { what: case.name, distance, bound: case.tolerance });
    }
    found.push(Agreement::of("image in bands", [&bands(device), &bands(&Device::flex())], WHOLE));
    found
}

fn cases(half: Option<FloatDType>) -> Vec<Case> {
    let mut cases = Vec::new();
    let dtypes = [
        (WeightDtype::F32, WHOLE),
        (WeightDtype::Bf16, if half.is_some() { HALVED } else { WHOLE }),
        // The processor rounds what it widens to bf16; a device without 16-bit floats does not.
        (WeightDtype::Int8, HALVED),
    ];
    for (dtype, tolerance) in dtypes {
        let mut add = |name: &str, shapes: &[[usize; 4]], operation: Operation| {
            let name = format!("{name} {dtype:?}");
            cases.push(Case { name, shapes: shapes.to_vec(), tolerance, operation });
        };
        let matrix = move |rows, columns| {
            let values = uniform_values(rows * columns, 5).iter().map(|x| x / (columns as f32).sqrt()).collect();
            FrozenMatrix::new(rows, columns, values, dtype)
        };
        let linear = FrozenLinear::new(matrix(96, 40), Some(uniform_values(96, 6)));
        add("linear", &[[1, 2, 33, 40]], Box::new(move |x| linear.forward(x[0].clone())));
        let linear = FrozenLinear::new(matrix(96, 40), None);
        add(
            "linear with low rank",
            &[[1, 2, 33, 40], [1, 1, 4, 40], [1, 1, 96, 4]],
            Box::new(move |x| {
                let down = x[1].clone().reshape([4, 40]);
                let up = x[2].clone().reshape([96, 4]);
                linear.forward_low_rank(x[0].clone(), &down, &up, 0.5)
            }),
        );
        for [kernel, stride, padding] in [[3, 1, 1], [3, 2, 1], [1, 1, 0], [3, 2, 0]] {
            let shape = ConvShape { inputs: 12, outputs: 20, kernel, stride, padding };
            let conv = FrozenConv::new(shape, matrix(20, shape.patch()), Some(uniform_values(20, 6)));
            let name = format!("convolution {kernel}×{kernel} / {stride}, {padding} zeros");
            add(&name, &[[2, 12, 9, 8]], Box::new(move |x| conv.forward(x[0].clone())));
        }
        // Many products in a sum: where a kernel sums in 16 bits, it shows.
        let shape = ConvShape { inputs: 640, outputs: 32, kernel: 3, stride: 1, padding: 1 };
        let conv = FrozenConv::new(shape, matrix(32, shape.patch()), None);
        add("convolution of 640 channels", &[[1, 640, 6, 6]], Box::new(move |x| conv.forward(x[0].clone())));
        for mask in [Mask::None, Mask::Causal] {
            let shapes = [[2, 2, 33, 8]; 3];
            let operation = move |x: &[Tensor<4>]| attention(x[0].clone(), x[1].clone(), x[2].clone(), mask, dtype);
            add(&format!("attention, mask {mask:?}"), &shapes, Box::new(operation));
        }
    }
    let mut add = |name: &str, shape, operation: Operation| {
        cases.push(Case { name: name.into(), shapes: vec![shape], tolerance: WHOLE, operation });
    };
    let norm = GroupNorm::new(uniform_values(12, 7), uniform_values(12, 8), 4, 1e-5);
    let with_silu = norm.clone();
    add("group norm", [2, 12, 9, 8], Box::new(move |x| norm.forward(x[0].clone(), Activation::None)));
    add("group norm, SiLU", [2, 12, 9, 8], Box::new(move |x| with_silu.forward(x[0].clone(), Activation::Silu)));
    let norm = LayerNorm::new(uniform_values(40, 7), uniform_values(40, 8), 1e-5, WeightDtype::F32);
    add("layer norm", [1, 2, 33, 40], Box::new(move |x| norm.forward(x[0].clone())));
    add("GEGLU", [1, 2, 33, 40], Box::new(|x| geglu(x[0].clone(), WeightDtype::F32)));
    cases
}

/// Output and gradients.
fn run(case: &Case, device: &Device) -> Vec<Vec<f32>> {
    let inputs: Vec<_> =
        case.shapes.iter().enumerate().map(|(index, shape)| tensor(*shape, index as u64, device)).collect();
    let tracked: Vec<_> = inputs.into_iter().map(|x| x.autodiff().require_grad()).collect();
    let y = (case.operation)(&tracked);
    let mut gradients = (y.clone() * tensor(y.dims(), 9, device)).sum().backward();
    let gradients = tracked.into_iter().map(|x| x.grad_remove(&mut gradients).map(values_of).unwrap_or_default());
    let mut results: Vec<Vec<f32>> = gradients.collect();
    results.push(values_of(y.inner()));
    results
}

/// A norm, SiLU and a convolution of a large image.
fn bands(device: &Device) -> Vec<f32> {
    let shape = ConvShape { inputs: LARGE[1], outputs: 32, kernel: 3, stride: 2, padding: 1 };
    let values = uniform_values(shape.outputs * shape.patch(), 3);
    let weight = FrozenMatrix::new(shape.outputs, shape.patch(), values, WeightDtype::F32);
    let conv = FrozenConv::new(shape, weight, Some(uniform_values(shape.outputs, 4)));
    let norm = GroupNorm::new(uniform_values(LARGE[1], 5), uniform_values(LARGE[1], 6), 2, 1e-6);
    let x = Image::of(tensor(LARGE, 7, device));
    values_of(conv.in_bands(&x, Before::Normalize(&norm)).into_tensor())
}

fn values_of(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap_or_default()
}
