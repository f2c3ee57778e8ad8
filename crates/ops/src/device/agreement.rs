//! The bodies for other devices against the processor's kernels, both on the processor.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::attention::{Attended, backward, forward};
use super::convolved_on_device;
use crate::agreement::{numbers, relative_error};
use crate::bands::{Before, add_convolved};
use crate::frozen_op::{FrozenOp, SavedForBackward};
use crate::planes::Planes;
use crate::{Activation, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, LayerNorm, Mask, WeightDtype};

fn tensor(numbers: &[f32], shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &Device::flex())
}

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|x| f64::from(*x)).collect()
}

/// Fails if output or gradient of x differ from the kernels' by more than 2e-6.
fn check(op: Arc<dyn FrozenOp>, shape: [usize; 4]) {
    let x = numbers(shape.iter().product(), 1);
    let y = op.forward(&x, &shape);
    let output: [usize; 4] = op.output_shape(&shape).try_into().unwrap();
    let dy = numbers(y.len(), 2);
    let keeps = op.saved_for_backward() != SavedForBackward::Nothing;
    let dx = op.backward(if keeps { &x } else { &[] }, &shape, &dy);
    let kept = keeps.then(|| tensor(&x, shape));
    let results = [
        ("y", op.forward_on_device(tensor(&x, shape)), output, y),
        ("dx", op.backward_on_device(kept, shape, tensor(&dy, output)), shape, dx),
    ];
    for (what, body, shape, kernel) in results {
        assert_eq!(body.dims(), shape, "{op:?}: {what}");
        let error = relative_error(&body.into_data().try_into_vec::<f32>().unwrap(), &wide(&kernel));
        assert!(error < 2e-6, "{op:?}: {what} differs by {error:e}");
    }
}

fn matrix(rows: usize, columns: usize) -> FrozenMatrix {
    FrozenMatrix::new(rows, columns, numbers(rows * columns, 3), WeightDtype::F32)
}

#[test]
fn linear() {
    check(FrozenLinear::new(matrix(9, 20), Some(numbers(9, 4))).op(), [1, 2, 7, 20]);
    check(FrozenLinear::new(matrix(40, 8), None).op(), [1, 1, 3, 8]);
}

#[test]
fn convolution() {
    // Kernel, stride, padding, height, width: with and without a remainder where the stride is two.
    for [kernel, stride, padding, height, width] in
        [[3, 1, 1, 6, 9], [3, 2, 1, 8, 7], [3, 2, 0, 9, 8], [1, 1, 0, 5, 4], [1, 2, 0, 6, 5]]
    {
        let shape = ConvShape { inputs: 5, outputs: 6, kernel, stride, padding };
        check(FrozenConv::new(shape, matrix(6, shape.patch()), Some(numbers(6, 4))).op(), [2, 5, height, width]);
    }
}

#[test]
fn norms() {
    for activation in [Activation::None, Activation::Silu] {
        check(GroupNorm::new(numbers(12, 5), numbers(12, 6), 4, 1e-5).op(activation), [2, 12, 5, 3]);
    }
    check(LayerNorm::new(numbers(20, 5), numbers(20, 6), 1e-5, WeightDtype::F32).op(), [1, 2, 7, 20]);
}

#[test]
fn gated() {
    check(crate::geglu::op(), [1, 2, 5, 24]);
    check(crate::quick_gelu::op(), [1, 2, 5, 24]);
}

#[test]
fn turned() {
    check(crate::transpose::op(), [1, 2, 19, 37]);
}

/// More queries than one tile, by a small tile.
#[test]
fn attention() {
    for (mask, [s, t, d]) in [(Mask::None, [37, 20, 8]), (Mask::Causal, [23, 23, 4])] {
        let of = |length, salt| {
            let shape = [2, 3, length, d];
            tensor(&numbers(shape.iter().product(), salt), shape)
        };
        let (q, k, v, dy) = (of(s, 1), of(t, 2), of(t, 3), of(s, 4));
        let tracked = [q.clone(), k.clone(), v.clone()].map(|x| x.autodiff().require_grad());
        let [a, b, c] = tracked.clone();
        let y = crate::attention(a, b, c, mask, WeightDtype::F32);
        let mut gradients = (y.clone() * dy.clone()).sum().backward();
        let kernels = tracked.map(|x| x.grad_remove(&mut gradients).unwrap());
        let attended = Attended { q, k, v, mask, dtype: DType::F32, scores: 5 * 2 * 3 * t };
        let (output, log_sum) = forward(&attended);
        let bodies = backward(&attended, output.clone(), log_sum, dy);
        let pairs = [(output, y.inner())].into_iter().chain(bodies.into_iter().zip(kernels));
        for (index, (body, kernel)) in pairs.enumerate() {
            let kernel: Vec<f32> = kernel.into_data().try_into_vec().unwrap();
            let error = relative_error(&body.into_data().try_into_vec::<f32>().unwrap(), &wide(&kernel));
            assert!(error < 2e-6, "{mask:?}: output or gradient {index} differs by {error:e}");
        }
    }
}

/// What `before` makes of an image, convolved and added to another, in one band and in several.
#[test]
fn bands() {
    let norm = GroupNorm::new(numbers(8, 5), numbers(8, 6), 4, 1e-6);
    let same = [3, 1, 1, 6];
    for ([kernel, stride, padding, outputs], before, height) in [
        (same, Before::Nothing, 12),
        (same, Before::Normalize(&norm), 12),
        (same, Before::Normalize(&norm), 1),
        (same, Before::Double, 7),
        ([3, 2, 0, 20], Before::PadEnd, 12),
        ([3, 2, 0, 20], Before::PadEnd, 13),
        ([1, 1, 0, 11], Before::Nothing, 12),
    ] {
        let shape = ConvShape { inputs: 8, outputs, kernel, stride, padding };
        let conv = FrozenConv::new(shape, matrix(outputs, shape.patch()), Some(numbers(outputs, 4)));
        let x = Planes { channels: 8, height, width: 10, numbers: numbers(8 * height * 10, 1) };
        let last = |x: &Planes| tensor(&x.numbers, [1, x.channels, x.height, x.width]).permute([0, 2, 3, 1]);
        let on_device = |sum, size| convolved_on_device(&conv, &last(&x), before, sum, size).permute([0, 3, 1, 2]);
        let [_, channels, height, width] = on_device(None, 1 << 20).dims();
        let mut sum = Planes { channels, height, width, numbers: numbers(channels * height * width, 2) };
        let other = last(&sum);
        let mut alone = Planes::zeros([channels, height, width]);
        add_convolved(&conv, &x, before, &mut alone);
        add_convolved(&conv, &x, before, &mut sum);
        for size in [1, 300, 700, 1 << 20] {
            for (body, kernel) in [(on_device(None, size), &alone), (on_device(Some(other.clone()), size), &sum)] {
                let error = relative_error(&body.into_data().try_into_vec::<f32>().unwrap(), &wide(&kernel.numbers));
                assert!(error < 2e-6, "{shape:?} {before:?} in bands of {size} numbers: {error:e}");
            }
        }
    }
}
