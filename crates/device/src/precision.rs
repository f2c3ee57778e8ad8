//! In what numbers the frozen weights of a network are held on a device, and so in what the operations on them compute.

use burn::tensor::{Device, FloatDType};
use lorabake_ops::{WeightDtype, half_of, is_host};
use lorabake_recipe::train::Precision;

/// The numbers of weights that are not in 8 bits.
pub fn weight_dtype(precision: Precision, device: &Device) -> WeightDtype {
    match precision {
        Precision::No => WeightDtype::F32,
        Precision::Fp16 if is_host(device) => WeightDtype::F32,
        Precision::Fp16 | Precision::Bf16 => WeightDtype::Bf16,
    }
}

/// The numbers of the VAE's weights.
pub fn vae_dtype(precision: Precision, device: &Device) -> WeightDtype {
    if is_host(device) { weight_dtype(precision, device) } else { vae_on_gpu(precision, half_of(device)) }
}

/// The numbers of the VAE's weights on a GPU whose 16-bit floats are `half`. Inside SDXL's VAE numbers grow beyond f16's
/// largest, 65504; so without bf16 it stays in 32 bits, unasked.
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
        let bf16 = Some(FloatDType::BF16);
        let f16 = Some(FloatDType::F16);
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
    fn on_the_processor_the_vae_is_held_as_the_other_networks() {
        let processor = Device::flex();
        for precision in [Precision::No, Precision::Fp16, Precision::Bf16] {
            assert_eq!(vae_dtype(precision, &processor), weight_dtype(precision, &processor));
        }
        assert_eq!(vae_dtype(Precision::No, &processor), WeightDtype::F32);
    }
}
