//! Every operation against its plain body in Burn primitives, forward and backward, in all number formats of weights.

use std::sync::Arc;

use burn::tensor::{Device, Distribution, FloatDType, Tensor, TensorData};
use lorabake_ops::{
    Activation, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, LayerNorm, Mask, WeightDtype, attention,
    geglu, plain_attention, plain_geglu, plain_low_rank, plain_quick_gelu, quick_gelu, transpose,
};

/// Numbers from a hash, about unit variance.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    let hash = |i: u64| {
        (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add((salt as u64).wrapping_mul(0xd1b5_4a32_d192_ed03))
    };
    let mix = |x: u64| (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    (0..count as u64).map(|i| (mix(hash(i)) as f32 / 16_777_216.0 - 0.5) * 3.4).collect()
}

fn tensor<const D: usize>(shape: [usize; D], salt: usize) -> Tensor<D> {
    let data = TensorData::new(numbers(shape.iter().product(), salt), shape);
    Tensor::from_data(data, &Device::flex())
}

/// Numbers as they are where weights are f32; rounded to bf16 where products are of bf16 numbers.
fn held<const D: usize>(dtype: WeightDtype, x: Tensor<D>) -> Tensor<D> {
    match dtype {
        WeightDtype::F32 => x,
        WeightDtype::Bf16 | WeightDtype::Int8 => x.cast(FloatDType::BF16).cast(FloatDType::F32),
    }
}

/// ‖a − b‖ / ‖b‖
fn distance<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let norm = b.clone().square().sum().sqrt().into_scalar::<f32>();
    assert!(norm > 1e-3, "a comparison with nothing");
    (a - b).square().sum().sqrt().into_scalar::<f32>() / norm
}

/// Output and input gradients agree to `tolerance` (relative L2).
fn check<const D: usize, const N: usize, const E: usize>(
    name: &str,
    tolerance: f32,
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    plain: impl Fn([Tensor<D>; N]) -> Tensor<E>,
) {
    check_held(name, Allowed { tolerance, dtype: WeightDtype::F32 }, inputs, ours, plain);
}

/// How far results may differ, and the weights' number format, which takes dL/dy exactly.
#[derive(Clone, Copy)]
struct Allowed {
    tolerance: f32,
    dtype: WeightDtype,
}

/// Output and input gradients agree, with numbers that the weights' format takes exactly.
fn check_held<const D: usize, const N: usize, const E: usize>(
    name: &str,
    allowed: Allowed,
    inputs: [Tensor<D>; N],
    ours: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    plain: impl Fn([Tensor<D>; N]) -> Tensor<E>,
) {
    let run = |f: &dyn Fn([Tensor<D>; N]) -> Tensor<E>| {
        let tracked = inputs.clone().map(|x| x.autodiff().require_grad());
        let y = f(tracked.clone());
        let dy = held(allowed.dtype, tensor(y.dims(), 91));
        let mut grads = (y.clone() * dy).sum().backward();
        (y.inner(), tracked.map(|x| x.grad_remove(&mut grads).expect("a gradient")))
    };
    let (y, dx) = run(&ours);
    let (y_plain, dx_plain) = run(&plain);
    let untracked = ours(inputs.clone());
    assert_eq!(untracked.into_data(), y.clone().into_data(), "{name}: with and without tape");
    let error = distance(y, y_plain);
    assert!(error < allowed.tolerance, "{name}: output differs by {error:e}");
    for (index, (a, b)) in dx.into_iter().zip(dx_plain).enumerate() {
        let error = distance(a, b);
        assert!(error < allowed.tolerance, "{name}: gradient {index} differs by {error:e}");
    }
}

#[test]
fn linear() {
    for (dtype, m, k, n) in [
        (WeightDtype::F32, 5, 48, 33),
        (WeightDtype::F32, 1, 7, 300),
        (WeightDtype::Bf16, 70, 130, 257),
        (WeightDtype::F32, 300, 64, 17),
        (WeightDtype::Int8, 70, 130, 257),
    ] {
        let layer = FrozenLinear::new(FrozenMatrix::new(n, k, numbers(n * k, 1), dtype), Some(numbers(n, 2)));
        check_held(
            &format!("linear {m}×{k}×{n} {dtype:?}"),
            Allowed { tolerance: 2e-6, dtype },
            [held(dtype, tensor([m, k], 3))],
            |[x]| layer.forward(x),
            |[x]| layer.plain_forward(x),
        );
    }
}

/// A matrix computes the same whether it is in memory, was taken out of it, or never was there.
#[test]
fn linear_from_its_source() {
    for dtype in [WeightDtype::F32, WeightDtype::Bf16, WeightDtype::Int8] {
        let (n, k) = (40, 70);
        let bias = || Some(numbers(n, 2));
        let held = FrozenLinear::new(FrozenMatrix::new(n, k, numbers(n * k, 1), dtype), bias());
        let source = Arc::new(move || Ok(numbers(n * k, 1)));
        let later = FrozenMatrix::from_source(n, k, source, dtype);
        let (place, later) = (later.lazy(), FrozenLinear::new(later, bias()));
        let expected = held.forward(tensor([9, k], 3)).into_data();
        let same = || assert_eq!(later.forward(tensor([9, k], 3)).into_data(), expected, "{dtype:?}");
        same();
        place.read().unwrap();
        same();
        place.forget();
        same();
    }
    let broken = FrozenMatrix::from_source(2, 2, Arc::new(|| Err("the file is gone".into())), WeightDtype::Bf16);
    assert_eq!(broken.lazy().read().unwrap_err(), "the file is gone");
    let short = FrozenMatrix::from_source(2, 2, Arc::new(|| Ok(vec![0.0; 3])), WeightDtype::Bf16);
    assert!(short.lazy().read().unwrap_err().contains("3 numbers where 2 × 2 were"));
}

#[test]
fn product_of_low_rank_beside_a_layer() {
    // All operands are bf16 numbers, but x·downᵀ, dy·up and the scaled up are rounded on their way. The same roundings
    // in torch give up to 2.5e-3 for these shapes.
    for (dtype, tolerance) in [(WeightDtype::F32, 2e-6), (WeightDtype::Bf16, 4e-3)] {
        for (m, k, n, rank) in [(5, 48, 33, 4), (130, 70, 257, 16), (77, 33, 20, 1), (2100, 40, 64, 17)] {
            let layer = FrozenLinear::new(FrozenMatrix::new(n, k, numbers(n * k, 1), dtype), Some(numbers(n, 2)));
            let (down, up) = (held(dtype, tensor([rank, k], 4)), held(dtype, tensor([n, rank], 5)));
            check_held(
                &format!("low rank {m}×{k}×{n} of {rank} {dtype:?}"),
                Allowed { tolerance, dtype },
                [held(dtype, tensor([m, k], 3)), down, up],
                |[x, down, up]| layer.forward_low_rank(x, &down, &up, 0.7),
                |[x, down, up]| layer.plain_forward(x.clone()) + plain_low_rank(x, &down, &up, 0.7),
            );
        }
    }
}

#[test]
fn convolution() {
    let shape = |inputs, outputs, kernel, stride| ConvShape { inputs, outputs, kernel, stride, padding: kernel / 2 };
    for (shape, dtype, [b, h, w]) in [
        (shape(3, 5, 3, 1), WeightDtype::F32, [2, 7, 9]),
        (shape(70, 40, 3, 1), WeightDtype::Bf16, [1, 8, 8]),
        (shape(70, 40, 3, 1), WeightDtype::Int8, [1, 8, 8]),
        (shape(6, 40, 3, 2), WeightDtype::F32, [2, 9, 6]),
        (shape(6, 40, 3, 2), WeightDtype::Bf16, [1, 8, 8]),
        (shape(33, 20, 1, 1), WeightDtype::F32, [2, 5, 5]),
        (shape(33, 20, 1, 1), WeightDtype::Bf16, [3, 1, 1]),
        // More patches than one block holds.
        (shape(96, 8, 3, 1), WeightDtype::F32, [1, 60, 60]),
        (ConvShape { inputs: 4, outputs: 6, kernel: 3, stride: 2, padding: 0 }, WeightDtype::F32, [1, 9, 9]),
    ] {
        let weight = FrozenMatrix::new(shape.outputs, shape.patch(), numbers(shape.outputs * shape.patch(), 1), dtype);
        let layer = FrozenConv::new(shape, weight, Some(numbers(shape.outputs, 2)));
        let x = held(dtype, tensor([b, shape.inputs, h, w], 3));
        let name = format!("{shape:?} {dtype:?}");
        check_held(
            &name,
            Allowed { tolerance: 2e-6, dtype },
            [x],
            |[x]| layer.forward(x),
            |[x]| layer.plain_forward(x),
        );
    }
}

/// What the tape holds in bf16 it holds exactly, if the input is in bf16.
const DTYPES: [WeightDtype; 2] = [WeightDtype::F32, WeightDtype::Bf16];

#[test]
fn norms() {
    for dtype in DTYPES {
        for activation in [Activation::None, Activation::Silu] {
            let norm = GroupNorm::new(numbers(32, 1), numbers(32, 2), 8, 1e-5).beside(dtype);
            let x = held(dtype, tensor([2, 32, 5, 7], 3).add_scalar(2.0));
            let name = format!("group norm {activation:?} {dtype:?}");
            check(&name, 3e-6, [x], |[x]| norm.forward(x, activation), |[x]| norm.plain_forward(x, activation));
        }
        let norm = LayerNorm::new(numbers(50, 1), numbers(50, 2), 1e-5, dtype);
        let x = held(dtype, tensor([9, 50], 3));
        check(&format!("layer norm {dtype:?}"), 3e-6, [x], |[x]| norm.forward(x), |[x]| norm.plain_forward(x));
    }
}

#[test]
fn gated_gelu() {
    for dtype in DTYPES {
        let x = held(dtype, tensor([3, 5, 44], 4));
        check(&format!("geglu {dtype:?}"), 2e-6, [x], |[x]| geglu(x, dtype), |[x]| plain_geglu(x));
    }
}

/// The gradient of an input that is not in bf16 differs by what it was rounded by, and the output not at all.
#[test]
fn what_the_tape_rounds() {
    let x = tensor([9, 50], 3);
    let gradient = |dtype| {
        let norm = LayerNorm::new(numbers(50, 1), numbers(50, 2), 1e-5, dtype);
        let x = x.clone().autodiff().require_grad();
        let y = norm.forward(x.clone());
        let gradients = (y.clone() * tensor([9, 50], 5)).sum().backward();
        (x.grad(&gradients).unwrap(), y.inner())
    };
    let ((exact, y), (rounded, same)) = (gradient(WeightDtype::F32), gradient(WeightDtype::Bf16));
    assert_eq!(y.into_data(), same.into_data());
    let error = distance(rounded, exact);
    assert!(error > 1e-5 && error < 4e-3, "{error:e}");
}

#[test]
fn quick_gelu_of_clip() {
    let x = tensor([3, 5, 44], 4).mul_scalar(4.0);
    check("quick_gelu", 2e-6, [x], |[x]| quick_gelu(x), |[x]| plain_quick_gelu(x));
}

#[test]
fn channels_and_places() {
    for shape in [[2, 5, 7], [1, 33, 48], [3, 16, 100], [1, 1, 9]] {
        check(&format!("transpose {shape:?}"), 1e-12, [tensor(shape, 4)], |[x]| transpose(x), |[x]| x.swap_dims(1, 2));
    }
}

/// In bf16 the weights of the values and the gradients of the scores are rounded on their way: 2⁻⁹ each, several times.
const ROUNDED: f32 = 6e-3;

#[test]
fn attention_in_tiles() {
    for (mask, heads, s, t, d) in [
        (Mask::None, 2, 9, 9, 8),
        (Mask::Causal, 2, 77, 77, 8),
        (Mask::None, 1, 300, 77, 40),
        (Mask::Causal, 1, 600, 600, 4),
        (Mask::None, 3, 130, 1100, 16),
        (Mask::Causal, 1, 97, 97, 64),
        (Mask::None, 1, 65, 65, 7),
        (Mask::None, 2, 70, 64, 160),
    ] {
        // Heads one after another, and as linear layers leave them.
        let layouts = [false, true].into_iter();
        let both = layouts.flat_map(|views| [(WeightDtype::F32, 1e-5, views), (WeightDtype::Bf16, ROUNDED, views)]);
        for (dtype, tolerance, views) in both {
            // Scores of about unit variance whatever the width, so that no softmax is so sharp that gradients vanish.
            let flat = 1.0 / (d as f64).powf(0.25);
            let input = |length: usize, salt| {
                let shape = if views { [2, length, heads, d] } else { [2, heads, length, d] };
                let numbers = held(dtype, tensor(shape, salt).mul_scalar(if salt == 7 { 1.0 } else { flat }));
                if views { numbers.swap_dims(1, 2) } else { numbers }
            };
            let (q, k, v) = (input(s, 5), input(t, 6), input(t, 7));
            let name = format!("attention {mask:?} {s}×{t}×{d} {dtype:?}, views: {views}");
            // Queries first, then keys and values, which have another length.
            check_held(
                &format!("{name}, queries"),
                Allowed { tolerance, dtype },
                [q.clone()],
                |[q]| attention(q, k.clone(), v.clone(), mask, dtype),
                |[q]| plain_attention(q, k.clone(), v.clone(), mask),
            );
            check_held(
                &format!("{name}, keys and values"),
                Allowed { tolerance, dtype },
                [k.clone(), v.clone()],
                |[k, v]| attention(q.clone(), k, v, mask, dtype),
                |[k, v]| plain_attention(q.clone(), k, v, mask),
            );
        }
    }
}

#[test]
fn attention_survives_large_scores() {
    for dtype in [WeightDtype::F32, WeightDtype::Bf16] {
        let q = Tensor::<4>::random([1, 1, 4, 8], Distribution::Default, &Device::flex()).mul_scalar(1e3);
        let y = attention(q.clone(), q.clone(), q, Mask::None, dtype);
        assert!(y.into_data().try_into_vec::<f32>().unwrap().iter().all(|y| y.is_finite()));
    }
}
