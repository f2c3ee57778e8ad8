//! The checkpoints and ControlNets of the pictures, some of which the pack keeps as what they have beyond another file.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_model::control::ControlNet;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::network_file::control;
use serde_json::Value;

use crate::made_file::{Numbers, of_file, to_file};
use crate::pack::{Pack, Tensors};

/// The weights of the UNet's first convolution, in a checkpoint.
const FIRST: &str = "model.diffusion_model.input_blocks.0.0.weight";
/// What the UNet's tensors have in front in a checkpoint.
const UNET: &str = "model.diffusion_model.";
/// Parts of a UNet that a ControlNet has too.
const SHARED: [&str; 4] = ["time_embed.", "label_emb.", "input_blocks.", "middle_block."];

/// A tensor of a recording.
///
/// # Shapes
/// - output: as recorded
pub(super) fn tensor<const D: usize>(tensors: &Tensors, name: &str) -> Result<Tensor<D>> {
    let shape: [usize; D] = tensors.shape(name)?.try_into().ok().with_context(|| format!("{name} has {D} axes"))?;
    Ok(Tensor::from_data(TensorData::new(tensors.f32(name)?, shape), &Device::flex()))
}

/// The checkpoint that a case names; `sd15_inpaint` is `sd15` with five channels more.
pub(super) fn checkpoint(pack: &Pack, model: &str) -> Result<Checkpoint> {
    let Some(family) = model.strip_suffix("_inpaint") else {
        return Ok(Checkpoint::open(&pack.model(model))?);
    };
    let inputs = pack.tensors("pictures/inpaint_inputs.safetensors")?;
    let more = inputs.f32(&format!("{model}.extra_input_weights"))?;
    let bytes = std::fs::read(pack.model(family))?;
    let mut numbers = of_file(&bytes)?;
    let first = numbers.get_mut(FIRST).context("a first convolution")?;
    let outputs = first.shape[0];
    let mut joined = Vec::new();
    for (own, more) in first.bytes.chunks(first.bytes.len() / outputs).zip(more.chunks(more.len() / outputs)) {
        joined.extend_from_slice(own);
        joined.extend(more.iter().flat_map(|value| value.to_le_bytes()));
    }
    *first = Numbers { shape: vec![outputs, 9, 3, 3], bytes: joined };
    let name = format!("{model}.safetensors");
    Ok(Checkpoint::from_bytes_for(Purpose::Painting, &name, to_file(&numbers)?.into())?)
}

/// The networks of a checkpoint, in f32.
pub(super) fn bundle(checkpoint: &Checkpoint) -> Result<Bundle> {
    Ok(Bundle::load(checkpoint, VaeHalves::All, WeightDtype::F32)?)
}

/// The ControlNet of a case: what the pack keeps of it, and the parts that it shares with its model.
pub(super) fn control_net(pack: &Pack, case: &Value) -> Result<ControlNet> {
    let model = case["model"].as_str().context("a model")?;
    let checkpoint = std::fs::read(pack.model(model))?;
    let mut numbers = BTreeMap::new();
    for (name, own) in of_file(&checkpoint)? {
        if let Some(rest) = name.strip_prefix(UNET)
            && SHARED.iter().any(|part| rest.starts_with(part))
        {
            numbers.insert(format!("control_model.{rest}"), own);
        }
    }
    let own = of_file(&std::fs::read(pack.path(&format!("pictures/controlnet_{model}.safetensors")))?)?;
    // All nets have the hint block of that for SD1.x.
    let hint = of_file(&std::fs::read(pack.path("pictures/controlnet_sd15.safetensors"))?)?;
    numbers.extend(hint.into_iter().filter(|(name, _)| name.starts_with("control_model.input_hint_block.")));
    numbers.extend(own);
    let file = to_file(&numbers)?.into();
    let file = control::from_bytes("controlnet.safetensors", file, &Checkpoint::open(&pack.model(model))?)?;
    Ok(ControlNet::read(&file, WeightDtype::F32)?)
}

/// The image that steers a run.
///
/// # Shapes
/// - output: [1, 3, H, W], 0 to 1
pub(super) fn control_image(pack: &Pack, case: &Value) -> Result<Tensor<4>> {
    let inputs = pack.tensors("pictures/inputs.safetensors")?;
    let start = format!("control_image_{}_", case["control"]["image"]);
    let names = inputs.names()?;
    let name = names.iter().find(|name| name.starts_with(&start)).context("the image that steers")?;
    let shape: [usize; 3] = inputs.shape(name)?.try_into().ok().context("an image")?;
    let values: Vec<f32> = inputs.u8(name)?.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
    let pixels: Tensor<3> = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
    Ok(pixels.permute([2, 0, 1]).unsqueeze())
}
