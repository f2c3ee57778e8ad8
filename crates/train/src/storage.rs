//! How the frozen matrices of a run are held, and so in what the operations on them compute.

use burn::tensor::{Device, FloatDType};
use lorabake_model::WeightDtypes;
use lorabake_ops::{WeightDtype, half_of, is_host};
use lorabake_recipe::train::{Fp8, Precision, Train};

/// Those of a run on `device`.
pub fn storages(train: &Train, device: &Device) -> WeightDtypes {
    let wide = storage(train.precision, device);
    let eight = |if_all| if if_all { WeightDtype::Int8 } else { wide };
    WeightDtypes {
        texts: eight(train.fp8 == Fp8::All),
        unet: eight(train.fp8 != Fp8::No),
        vae: vae_storage(train.vae, device),
    }
}

/// Those of networks that paint: all in one precision, with a VAE of this one.
pub fn painting(precision: Precision, vae: Precision, device: &Device) -> WeightDtypes {
    WeightDtypes { vae: vae_storage(vae, device), ..WeightDtypes::all(storage(precision, device)) }
}

/// How matrices are held that are not in 8 bits.
pub fn storage(precision: Precision, device: &Device) -> WeightDtype {
    match precision {
        Precision::No => WeightDtype::F32,
        Precision::Fp16 if is_host(device) => WeightDtype::F32,
        Precision::Fp16 | Precision::Bf16 => WeightDtype::Bf16,
    }
}

fn vae_storage(precision: Precision, device: &Device) -> WeightDtype {
    if is_host(device) { storage(precision, device) } else { vae_on_gpu(precision, half_of(device)) }
}

/// How a GPU whose 16-bit floats are `half` holds the VAE. Inside SDXL's, numbers grow beyond f16's largest, 65504; so
/// without bf16 it stays in 32 bits, unasked.
fn vae_on_gpu(precision: Precision, half: Option<FloatDType>) -> WeightDtype {
    match (precision, half) {
        (Precision::Fp16 | Precision::Bf16, Some(FloatDType::BF16)) => WeightDtype::Bf16,
        _ => WeightDtype::F32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vae_is_never_in_f16() {
        let (bf16, f16) = (Some(FloatDType::BF16), Some(FloatDType::F16));
        for (precision, half, expected) in [
            (Precision::Bf16, bf16, WeightDtype::Bf16),
            (Precision::Fp16, bf16, WeightDtype::Bf16),
            (Precision::Bf16, f16, WeightDtype::F32),
            (Precision::Fp16, f16, WeightDtype::F32),
            (Precision::Fp16, None, WeightDtype::F32),
            // As `--no_half_vae` asks for.
            (Precision::No, bf16, WeightDtype::F32),
            (Precision::No, f16, WeightDtype::F32),
        ] {
            assert_eq!(vae_on_gpu(precision, half), expected, "{precision:?} where there is {half:?}");
        }
    }

    #[test]
    fn on_the_processor_the_vae_is_held_as_the_others() {
        for precision in [Precision::No, Precision::Fp16, Precision::Bf16] {
            let all = painting(precision, precision, &Device::flex());
            assert_eq!(all, WeightDtypes::all(storage(precision, &Device::flex())));
            assert_eq!(painting(precision, Precision::No, &Device::flex()).vae, WeightDtype::F32);
        }
    }
}
