//! Every operation of `ops` on a device and on the processor, forward and backward.

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use lorabake_diffusion::unit_normal;
use lorabake_ops::{
    Activation, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, LayerNorm, Mask, WeightDtype, attention,
    geglu, half_of,
};
use lorabake_recipe::seed::Seed;

/// Outputs and gradients agree to this relative distance where numbers have 32 bits,
const WHOLE: f64 = 3e-6;
/// and to this where products are of bf16 numbers: one eighth of a percent each, summed.
const HALVED: f64 = 1e-2;

/// An operation of some tensors.
type Operation = Box<dyn Fn(&[Tensor<4>]) -> Tensor<4>>;

struct Case {
    name: String,
    shapes: Vec<[usize; 4]>,
    tolerance: f64,
    operation: Operation,
}

/// Prints a line for each; whether all agree.
pub fn agree(device: &Device) -> bool {
    let half = half_of(device);
    println!("operations; 16-bit floats of the device: {}", half.map_or("none".into(), |half| format!("{half:?}")));
    let mut all = true;
    for case in cases(half) {
        let theirs = run(&case, device);
        let ours = run(&case, &Device::flex());
        let worst = theirs.iter().zip(&ours).map(|(a, b)| apart(a, b)).fold(0.0, f64::max);
        let agrees = worst < case.tolerance && theirs.iter().flatten().all(|x| x.is_finite());
        println!("  {:<34} {worst:>9.1e}  {}", case.name, if agrees { "agrees" } else { "DIFFERS" });
        all &= agrees;
    }
    all
}

fn cases(half: Option<FloatDType>) -> Vec<Case> {
    let mut cases = Vec::new();
    let dtypes = [(WeightDtype::F32, WHOLE), (WeightDtype::Bf16, if half.is_some() { HALVED } else { WHOLE })];
    for (dtype, tolerance) in dtypes {
        let mut add = |name: &str, shapes: &[[usize; 4]], operation: Operation| {
            let name = format!("{name} {dtype:?}");
            cases.push(Case { name, shapes: shapes.to_vec(), tolerance, operation });
        };
        let matrix = move |rows, columns| {
            let values = numbers(rows * columns, 5).iter().map(|x| x / (columns as f32).sqrt()).collect();
            FrozenMatrix::new(rows, columns, values, dtype)
        };
        let linear = FrozenLinear::new(matrix(96, 40), Some(numbers(96, 6)));
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
            let conv = FrozenConv::new(shape, matrix(20, shape.patch()), Some(numbers(20, 6)));
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
    let norm = GroupNorm::new(numbers(12, 7), numbers(12, 8), 4, 1e-5);
    let with_silu = norm.clone();
    add("group norm", [2, 12, 9, 8], Box::new(move |x| norm.forward(x[0].clone(), Activation::None)));
    add("group norm, SiLU", [2, 12, 9, 8], Box::new(move |x| with_silu.forward(x[0].clone(), Activation::Silu)));
    let norm = LayerNorm::new(numbers(40, 7), numbers(40, 8), 1e-5, WeightDtype::F32);
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
    let values = |x: Tensor<4>| x.into_data().try_into_vec::<f32>().unwrap_or_default();
    let gradients = tracked.into_iter().map(|x| x.grad_remove(&mut gradients).map(values).unwrap_or_default());
    let mut results: Vec<Vec<f32>> = gradients.collect();
    results.push(values(y.inner()));
    results
}

/// Unit normal, the same on every device.
pub(super) fn numbers(count: usize, salt: u64) -> Vec<f32> {
    unit_normal(&mut Seed(salt).stream("noise", &[]), count)
}

pub(super) fn tensor(shape: [usize; 4], salt: u64, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), salt), shape), device)
}

/// ‖a − b‖ / ‖b‖; 1 where there is nothing to compare.
pub(super) fn apart(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let norm: f64 = b.iter().map(|b| square(*b)).sum();
    let apart: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    if a.len() == b.len() && norm > 0.0 { (apart / norm).sqrt() } else { 1.0 }
}
