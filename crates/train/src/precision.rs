//! In what numbers a run holds its frozen networks.

use burn::tensor::Device;
use lorabake_device::{vae_dtype, weight_dtype};
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_recipe::train::{Fp8, Train};

/// The number formats of text encoders, UNet and VAE in a run on `device`.
pub(crate) fn training_dtypes(train: &Train, device: &Device) -> WeightDtypes {
    let wide = weight_dtype(train.precision, device);
    WeightDtypes {
        texts: if train.fp8 == Fp8::All { WeightDtype::Int8 } else { wide },
        unet: if train.fp8 == Fp8::No { wide } else { WeightDtype::Int8 },
        vae: vae_dtype(train.vae, device),
    }
}
