//! The VAE of the model inside the program, on a device and on the processor.

use anyhow::Result;
use burn::tensor::{Device, FloatDType, Tensor};
use lorabake_device::agreement::{Agreement, made_up};
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::{WeightDtype, half_of};
use lorabake_recipe::model::Checkpoint;

use crate::open_checkpoint;

/// Latents and images agree to this after some thirty operations in 32 bits,
const WHOLE: f64 = 3e-6;
/// and to this where the weights and what they are multiplied with have 8 bits of precision.
const HALVED: f64 = 3e-2;

/// What it makes of noise, both ways, in each precision that the device has for it.
///
/// # Errors
/// If the VAE cannot be read, or its pass fails.
pub fn vae(device: &Device) -> Result<Vec<Agreement>> {
    let ours = whole(&Device::flex(), WeightDtype::F32)?;
    let mut dtypes = vec![(WeightDtype::F32, WHOLE)];
    // In f16 it is never computed.
    if half_of(device) == Some(FloatDType::BF16) {
        dtypes.push((WeightDtype::Bf16, HALVED));
    }
    let mut found = Vec::new();
    for (dtype, bound) in dtypes {
        let theirs = whole(device, dtype)?;
        for (name, (theirs, ours)) in ["mean", "log-variance", "picture"].iter().zip(theirs.iter().zip(&ours)) {
            found.push(Agreement::of(format!("VAE, {name} {dtype:?}"), [theirs, ours], bound));
        }
    }
    Ok(found)
}

/// Mean and log-variance of two images of noise, and the picture of latents of noise.
fn whole(device: &Device, dtype: WeightDtype) -> Result<[Vec<f32>; 3]> {
    let bundle =
        Bundle::open(&open_checkpoint(&Checkpoint::Embedded, None)?, VaeHalves::All, WeightDtypes::all(dtype))?;
    let encoder = bundle.encoder.as_ref().expect("VaeHalves::All brings it");
    let decoder = bundle.decoder.as_ref().expect("VaeHalves::All brings it");
    let moments = encoder.forward(made_up([2, 3, 64, 96], 1, device).mul_scalar(0.5));
    let picture = decoder.forward(made_up([1, 4, 12, 8], 2, device));
    Ok([moments.mean, moments.log_variance, picture].map(values))
}

fn values(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap_or_default()
}
