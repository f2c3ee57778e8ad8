//! Upscalers of the ESRGAN family (RRDBNet), in their three namings; other upscalers are called by their names.
//!
//! Namings: Real-ESRGAN's is ours; the other two are of the first ESRGAN (`RRDB_trunk`) and of the program that most
//! community models were trained with (`model.1.sub`). Marks of others: spandrel.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use lorabake_recipe::model::Family;

use super::{NetworkFile, check_shapes, not_the, wrong};
use crate::Error;
use crate::formats::tensor_file::TensorFile;
use crate::keys::esrgan;
use crate::tensors::Tensors;

/// What is said of all others.
const WANTED: &str = "an upscaler of the ESRGAN family (such as 4x-UltraSharp or RealESRGAN_x4plus)";

/// Parts of names that upscalers of other kinds have, with what they are; the first that is met counts.
const OTHERS: [(&str, &str); 12] = [
    ("first_stage_model.", "a latent diffusion upscaler (LDSR) or a checkpoint"),
    ("overlap_attn.", "an upscaler of the HAT family"),
    ("before_RG.", "an upscaler of the DAT family"),
    ("attn.logit_scale", "an upscaler of the Swin2SR family"),
    ("residual_group.blocks.", "an upscaler of the SwinIR family"),
    ("m_head.0.", "a ScuNET (it takes noise away)"),
    ("conv_first.eval_conv.", "an upscaler of the SPAN family"),
    ("residual_layer.0.residual_layer.", "an upscaler of the OmniSR family"),
    ("unet1.conv1.conv.0.", "an upscaler of the Real-CUGAN family"),
    ("model.0.conv.weight", "a YOLOv8 detector"),
    ("stylegan_decoder.", "a network for faces (GFPGAN)"),
    ("position_emb", "a network for faces (CodeFormer)"),
];
/// The second layer of the small networks that Real-ESRGAN has for films: one number for each channel.
const COMPACT: &str = "body.1.weight";

/// Opens the upscaler at `path`, a file of safetensors or PyTorch.
///
/// # Errors
/// When it cannot be read, or is no upscaler of this family.
pub fn open(path: &Path) -> Result<NetworkFile, Error> {
    recognise(TensorFile::open(path)?.into())
}

/// Takes a whole file from memory; `name` stands for its path.
///
/// # Errors
/// As for [`open`].
pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<NetworkFile, Error> {
    recognise(TensorFile::from_bytes(name, bytes)?.into())
}

fn recognise(tensors: Tensors) -> Result<NetworkFile, Error> {
    let keys: Vec<&str> = tensors.names().iter().map(String::as_str).collect();
    let names = esrgan::names(&keys);
    let has = |wanted: &str| names.iter().any(|(_, name)| name == wanted);
    if !has("conv_first.weight") || !has("body.0.rdb1.conv1.weight") {
        let is_compact =
            keys.iter().any(|key| key.ends_with(COMPACT) && tensors.shape(key).is_some_and(|shape| shape.len() == 1));
        if is_compact {
            let reason = format!("it is a small upscaler for films (SRVGGNetCompact); give {WANTED}");
            return Err(wrong(tensors.label(), reason));
        }
        let other = OTHERS.iter().find(|(mark, _)| keys.iter().any(|key| key.contains(mark)));
        return Err(match other {
            Some((_, is)) => wrong(tensors.label(), format!("it is {is}, which is not supported; give {WANTED}")),
            None => not_the(WANTED, &tensors),
        });
    }
    if keys.iter().any(|key| key.contains(".conv1x1.")) {
        let reason = format!("it is an ESRGAN+ (with one layer more a block), which is not supported; give {WANTED}");
        return Err(wrong(tensors.label(), reason));
    }
    check_shapes(&tensors, &names)?;
    Ok(NetworkFile { names, tensors: Arc::new(tensors), kind: "upscaler", family: Family::Sd1, base: None })
}
