//! A device's trial: does it compute what the processor computes, and how fast?

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor, TensorData};
use lorabake_ops::{
    Activation, ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, GroupNorm, Mask, WeightDtype, attention, half_of,
};
use lorabake_recipe::seed::Seed;
use rand::Rng;

use crate::driver_panic::guarded;

/// Relative distance from the processor's results that 32-bit floats leave room for.
const AGREEMENT: f64 = 1e-4;
/// Side of the matrices that speed is measured with.
const SIDE: usize = 1024;

/// What a trial showed.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// Largest relative distance from the processor's results, outputs and gradients.
    pub distance: f64,
    /// 32-bit products of 1024 × 1024 matrices, in GFLOP/s.
    pub speed: f64,
    /// Products of the same size in the device's 16-bit floats, in GFLOP/s, and which floats they are; `None` if it has none.
    pub half: Option<(DType, f64)>,
}

/// Computes a block of a UNet forward and backward; how far the results are from the processor's.
///
/// # Errors
/// One line: the driver fails, or the results are wrong.
pub fn check(device: &Device) -> Result<f64, String> {
    let distance = guarded(|| {
        let (theirs, ours) = (block(device), block(&Device::flex()));
        let distances = theirs.iter().zip(&ours).map(|(a, b)| apart(a, b));
        distances.fold(0.0, |most, next| if next.is_nan() || next > most { next } else { most })
    })?;
    if distance.is_nan() || distance > AGREEMENT {
        return Err(format!("its results differ from the processor's by {distance:.0e}"));
    }
    Ok(distance)
}

/// [`check`], and times matrix products.
///
/// # Errors
/// When the device fails [`check`].
pub fn try_out(device: &Device) -> Result<Trial, String> {
    let distance = check(device)?;
    guarded(|| {
        let speed = product_speed(device, WeightDtype::F32);
        let half = half_of(device).map(|half| (half.into(), product_speed(device, WeightDtype::Bf16)));
        Trial { distance, speed, half }
    })
}

/// Uniform numbers of mean 0 and variance 1, the same on every device.
pub(crate) fn uniform_values(count: usize, salt: u64) -> Vec<f32> {
    let width = 3f32.sqrt();
    let mut rng = Seed(salt).stream("trial", &[]);
    (0..count).map(|_| rng.random_range(-width..width)).collect()
}

pub(crate) fn tensor<const D: usize>(shape: [usize; D], salt: u64, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(uniform_values(shape.iter().product(), salt), shape), device)
}

/// Norm, convolution, linear layer and attention: the output, and its gradient by the input.
fn block(device: &Device) -> [Vec<f32>; 2] {
    let shape = ConvShape { inputs: 32, outputs: 32, kernel: 3, stride: 1, padding: 1 };
    let matrix = |rows, columns, salt| {
        let values = uniform_values(rows * columns, salt).iter().map(|x| x / (columns as f32).sqrt()).collect();
        FrozenMatrix::new(rows, columns, values, WeightDtype::F32)
    };
    let norm = GroupNorm::new(uniform_values(32, 1), uniform_values(32, 2), 8, 1e-5);
    let conv = FrozenConv::new(shape, matrix(32, shape.patch(), 3), Some(uniform_values(32, 4)));
    let linear = FrozenLinear::new(matrix(96, 32, 5), None);
    let x = tensor([1, 32, 8, 8], 6, device).autodiff().require_grad();
    let y = conv.forward(norm.forward(x.clone(), Activation::Silu));
    let y = linear.forward(y.reshape([1, 32, 64]).transpose()).reshape([1, 64, 3, 32]).swap_dims(1, 2);
    let part = |index| y.clone().narrow(1, index, 1);
    let y = attention(part(0), part(1), part(2), Mask::None, WeightDtype::F32);
    let mut gradients = (y.clone() * tensor(y.dims(), 7, device)).sum().backward();
    let values = |x: Tensor<4>| x.into_data().try_into_vec().unwrap_or_default();
    [values(y.inner()), x.grad_remove(&mut gradients).map(values).unwrap_or_default()]
}

/// ‖a − b‖ / ‖b‖; NaN where there is nothing to compare.
pub(crate) fn apart(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let norm: f64 = b.iter().map(|b| square(*b)).sum();
    let apart: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    if a.len() == b.len() { (apart / norm).sqrt() } else { f64::NAN }
}

/// GFLOP/s of products with a frozen matrix, in the second of two rounds: the first one compiles and tunes.
fn product_speed(device: &Device, dtype: WeightDtype) -> f64 {
    const PRODUCTS: usize = 8;
    let values = uniform_values(SIDE * SIDE, 8).iter().map(|x| x / (SIDE as f32).sqrt()).collect();
    let layer = FrozenLinear::new(FrozenMatrix::new(SIDE, SIDE, values, dtype), None);
    let start = tensor::<2>([SIDE, SIDE], 9, device);
    let round = || {
        let started = Instant::now();
        let y = (0..PRODUCTS).fold(start.clone(), |x, _| layer.forward(x));
        // Reading one number waits for all of it.
        y.narrow(0, 0, 1).narrow(1, 0, 1).into_scalar::<f32>();
        started.elapsed().as_secs_f64()
    };
    round();
    (PRODUCTS * 2 * SIDE * SIDE * SIDE) as f64 / round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_itself() {
        let trial = try_out(&Device::flex()).unwrap();
        assert_eq!(trial.distance, 0.0);
        assert!(trial.speed > 0.1, "{} GFLOP/s", trial.speed);
    }

    #[test]
    fn distances_see_what_is_wrong() {
        assert!((apart(&[1.0, 2.2], &[1.0, 2.0]) - 0.2 / 5f64.sqrt()).abs() < 1e-6);
        assert!(apart(&[f32::NAN], &[1.0]).is_nan() && apart(&[], &[1.0]).is_nan());
    }
}
