//! The VAE of the model inside the program, on a device and on the processor, and an image that a device cuts into
//! bands.

use anyhow::Result;
use burn::tensor::{Device, FloatDType, Tensor};
use lorabake_generate::open_checkpoint;
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::{Before, ConvShape, FrozenConv, FrozenMatrix, GroupNorm, Image, WeightDtype, half_of};
use lorabake_recipe::model::Checkpoint;

use super::operations::{apart, numbers, tensor};

/// Latents and images agree to this after some thirty operations in 32 bits,
const WHOLE: f64 = 3e-6;
/// and to this where the weights and what they are multiplied with have 8 bits of precision.
const HALVED: f64 = 3e-2;
/// An image that a convolution to 32 channels in steps of two cuts into three bands; lavapipe has no room for larger
/// ones.
const LARGE: [usize; 4] = [1, 4, 1600, 1600];

/// Prints a line for each; whether all agree.
///
/// # Errors
/// If the VAE cannot be read, or its pass fails.
pub fn agree(device: &Device) -> Result<bool> {
    println!("VAE");
    let ours = whole(&Device::flex(), WeightDtype::F32)?;
    let mut all = told("image in bands", apart(&bands(device), &bands(&Device::flex())), 3e-6);
    // In f16 it is never computed.
    let dtypes = [(WeightDtype::F32, WHOLE)].into_iter();
    for (dtype, tolerance) in
        dtypes.chain((half_of(device) == Some(FloatDType::BF16)).then_some((WeightDtype::Bf16, HALVED)))
    {
        let theirs = whole(device, dtype)?;
        for (name, (theirs, ours)) in ["mean", "log-variance", "picture"].iter().zip(theirs.iter().zip(&ours)) {
            all &= told(&format!("{name} {dtype:?}"), apart(theirs, ours), tolerance);
        }
    }
    Ok(all)
}

fn told(name: &str, apart: f64, tolerance: f64) -> bool {
    let agrees = apart < tolerance;
    println!("  {name:<34} {apart:>9.1e}  {}", if agrees { "agrees" } else { "DIFFERS" });
    agrees
}

/// Mean and log-variance of two images of noise, and the picture of latents of noise.
fn whole(device: &Device, dtype: WeightDtype) -> Result<[Vec<f32>; 3]> {
    let bundle =
        Bundle::open(&open_checkpoint(&Checkpoint::Embedded, None)?, VaeHalves::All, WeightDtypes::all(dtype))?;
    let encoder = bundle.encoder.as_ref().expect("VaeHalves::All brings it");
    let decoder = bundle.decoder.as_ref().expect("VaeHalves::All brings it");
    let moments = encoder.forward(tensor([2, 3, 64, 96], 1, device).mul_scalar(0.5));
    let picture = decoder.forward(tensor([1, 4, 12, 8], 2, device));
    Ok([moments.mean, moments.log_variance, picture].map(values))
}

/// A norm, SiLU and a convolution of a large image.
fn bands(device: &Device) -> Vec<f32> {
    let shape = ConvShape { inputs: LARGE[1], outputs: 32, kernel: 3, stride: 2, padding: 1 };
    let weight =
        FrozenMatrix::new(shape.outputs, shape.patch(), numbers(shape.outputs * shape.patch(), 3), WeightDtype::F32);
    let conv = FrozenConv::new(shape, weight, Some(numbers(shape.outputs, 4)));
    let norm = GroupNorm::new(numbers(LARGE[1], 5), numbers(LARGE[1], 6), 2, 1e-6);
    let x = Image::of(tensor(LARGE, 7, device));
    values(conv.in_bands(&x, Before::Normalize(&norm)).into_tensor())
}

fn values(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap_or_default()
}
