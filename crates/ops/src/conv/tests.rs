//! Both ways of a convolution, forward and backward, against products in f64.

use super::*;
use crate::WeightDtype;
use crate::agreement::{numbers, relative_error};

/// Kernel, stride, padding, inputs, outputs, batch, height, width: odd sides, panels that cross rows, several blocks.
const CASES: [[usize; 8]; 9] = [
    [3, 1, 1, 3, 5, 2, 7, 9],
    [3, 1, 1, 70, 40, 1, 8, 8],
    [3, 2, 1, 6, 40, 2, 8, 7],
    [1, 1, 0, 33, 20, 2, 5, 5],
    [1, 1, 0, 33, 20, 3, 1, 1],
    [3, 2, 0, 4, 6, 1, 9, 9],
    [3, 1, 1, 300, 12, 1, 5, 65],
    [1, 2, 0, 5, 7, 1, 6, 5],
    [3, 1, 1, 300, 110, 2, 5, 17],
];

/// y and dx in f64, one product after the other.
fn exact(conv: &Conv, plane: Plane, batch: usize, x: &[f32], dy: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (s, w) = (conv.shape, conv.weight.to_f32());
    let bias = |o| conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias[o]));
    let mut y: Vec<f64> =
        (0..batch * s.outputs * plane.output()).map(|i| bias(i / plane.output() % s.outputs)).collect();
    let mut dx = vec![0.0; x.len()];
    for (at, (y, dy)) in y.iter_mut().zip(dy).enumerate() {
        let (image, o) = (at / plane.output() / s.outputs, at / plane.output() % s.outputs);
        let (row, column) = (at % plane.output() / plane.out_width, at % plane.out_width);
        for k in 0..s.patch() {
            let (c, ky, kx) = (k / s.kernel / s.kernel, k / s.kernel % s.kernel, k % s.kernel);
            let (i, j) = (row * s.stride + ky, column * s.stride + kx);
            let inside = |i: usize, side| i >= s.padding && i < side + s.padding;
            if inside(i, plane.height) && inside(j, plane.width) {
                let from = (image * s.inputs + c) * plane.input() + (i - s.padding) * plane.width + j - s.padding;
                let w = f64::from(w[o * s.patch() + k]);
                *y += w * f64::from(x[from]);
                dx[from] += w * f64::from(*dy);
            }
        }
    }
    (y, dx)
}

#[test]
fn both_paths_equal_f64() {
    CASES.into_iter().for_each(|case| check(case, numbers, 1e-6));
}

/// Kernel to width as above, for Winograd's products: odd sides and channels, panels that cross rows, several blocks.
const FOR_WINOGRAD: [[usize; 8]; 9] = [
    [3, 1, 1, 33, 50, 1, 24, 23],
    [3, 1, 1, 70, 97, 2, 17, 19],
    [3, 1, 1, 48, 32, 2, 8, 33],
    [3, 1, 1, 32, 64, 1, 32, 32],
    [3, 1, 1, 35, 50, 1, 40, 37],
    [3, 1, 1, 256, 260, 1, 16, 15],
    [3, 1, 0, 33, 50, 1, 26, 25],
    [3, 1, 0, 48, 32, 2, 9, 74],
    [3, 1, 0, 35, 50, 1, 42, 39],
];

/// Small multiples of four are still small whole numbers after all transforms, so that nothing is rounded.
#[test]
fn winograd_of_whole_numbers_is_exact() {
    let whole = |count, salt| numbers(count, salt).iter().map(|x| 4.0 * (3.0 * x).round()).collect();
    FOR_WINOGRAD.into_iter().for_each(|case| check(case, whole, 1e-6));
}

/// Where numbers are not whole, both operands are rounded to eight bits after transforms that amplify the error.
#[test]
fn winograd_rounds_twice() {
    FOR_WINOGRAD.into_iter().for_each(|case| check(case, numbers, 5e-3));
}

/// Fails if the f32 path is further than 1e-6 from f64, or the bf16 path further than `rounding`.
fn check(case: [usize; 8], numbers: impl Fn(usize, u64) -> Vec<f32>, rounding: f64) {
    let [kernel, stride, padding, inputs, outputs, batch, height, width] = case;
    let shape = ConvShape { inputs, outputs, kernel, stride, padding };
    let weight = FrozenMatrix::new(outputs, shape.patch(), numbers(outputs * shape.patch(), 1), WeightDtype::Bf16);
    let bias = Some(Arc::new(FrozenVector::new(numbers(outputs, 2))));
    let conv = Conv { shape, weight, bias, unpadded: Unpadded::Winograd };
    let (dims, plane) = ([batch, inputs, height, width], Plane::new(shape, height, width));
    let (x, dy) = (numbers(dims.iter().product(), 3), numbers(batch * outputs * plane.output(), 4));
    let (y, dx) = exact(&conv, plane, batch, &x, &dy);
    let check = |path: &str, tolerance: f64, ours: (Vec<f32>, Vec<f32>)| {
        for (what, error) in [("y", relative_error(&ours.0, &y)), ("dx", relative_error(&ours.1, &dx))] {
            assert!(error < tolerance, "{shape:?} {path}: {what} differs by {error:e}");
        }
    };
    let weight = conv.weight.reading();
    check("f32", 1e-6, (conv.forward_f32(&x, &dims, &weight), conv.backward_f32(&dims, &dy, &weight)));
    #[cfg(target_arch = "x86_64")]
    match weight.for_bf16() {
        Some(_) => check("bf16", rounding, (conv.forward(&x, &dims), conv.backward(&[], &dims, &dy))),
        None => eprintln!("this processor has no AVX-512 BF16: that path was not tested"),
    }
    #[cfg(not(target_arch = "x86_64"))]
    eprintln!("this processor has no AVX-512 BF16: the path that is off by {rounding:e} was not tested");
}
