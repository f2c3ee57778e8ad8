//! ControlNets: the original naming (with `control_model.` in front or without), that of diffusers, and those that hold the
//! difference from their model. Marks of the kinds: `controlnet_model_guess.py` of sd-webui-controlnet.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lorabake_recipe::model::Family;

use super::{NetworkFile, check_shapes, not_the, wrong};
use crate::file_kind::FileKind;
use crate::file_kind::relatives;
use crate::formats::tensor_file::TensorFile;
use crate::keys::{self, Part, control};
use crate::loader::Base;
use crate::tensors::Tensors;
use crate::{Checkpoint, Error};

/// What is said of all others.
const WANTED: &str = "a ControlNet of SD1.x, SD2.x or SDXL";
/// How the name of the layer ends that reads text states.
const READS_TEXT: &str = "attn2.to_k.weight";

/// Opens the ControlNet at `path`, a file of safetensors or PyTorch, to be used beside the model of `checkpoint`.
///
/// # Errors
/// When it cannot be read, is another kind of file, or is for another family of models.
pub fn open(path: &Path, checkpoint: &Checkpoint) -> Result<NetworkFile, Error> {
    recognise(TensorFile::open(path)?.into(), checkpoint)
}

/// Takes a whole file from memory; `name` stands for its path.
///
/// # Errors
/// As for [`open`].
pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>, checkpoint: &Checkpoint) -> Result<NetworkFile, Error> {
    recognise(TensorFile::from_bytes(name, bytes)?.into(), checkpoint)
}

fn recognise(tensors: Tensors, checkpoint: &Checkpoint) -> Result<NetworkFile, Error> {
    refuse_relatives(&tensors)?;
    let keys: Vec<&str> = tensors.names().iter().map(String::as_str).collect();
    let names = control::names(&keys);
    if !names.iter().any(|(_, name)| name == "controlnet_cond_embedding.conv_in.weight") {
        return Err(not_the(WANTED, &tensors));
    }
    check_shapes(&tensors, &names)?;
    refuse_other_family(&tensors, &names, checkpoint)?;
    let unet = base(checkpoint);
    refuse_other_layers(&tensors, &names, &unet)?;
    let base = if tensors.shape("difference").is_some() { Some(unet) } else { None };
    let family = checkpoint.family();
    Ok(NetworkFile { names, tensors: Arc::new(tensors), kind: "ControlNet", family, base })
}

/// Refuses what is like a ControlNet, and is another kind of network.
fn refuse_relatives(tensors: &Tensors) -> Result<(), Error> {
    let has = |start: &str| tensors.has_start(start) || tensors.has_start(&format!("control_model.{start}"));
    if has("task_embedding") || has("control_add_embedding.") {
        let reason = "it is a ControlNet Union (one net for several kinds of image), which is not supported; give the \
                      ControlNet for the one kind";
        return Err(wrong(tensors.label(), reason));
    }
    if has("lora_controlnet") {
        return Err(wrong(tensors.label(), format!("it is a Control-LoRA, not a ControlNet; give {WANTED}")));
    }
    if has("down_blocks.0.motion_modules.") {
        return Err(not_the(WANTED, tensors));
    }
    match relatives::find(tensors) {
        Some(relative) if relative.kind != FileKind::ControlNet || relative.is_unlike_ours() => {
            Err(not_the(WANTED, tensors))
        }
        _ => Ok(()),
    }
}

/// Refuses a net for models of another family: it adds to other layers, or reads other text states.
fn refuse_other_family(tensors: &Tensors, names: &[(String, String)], checkpoint: &Checkpoint) -> Result<(), Error> {
    let family = checkpoint.family();
    let is_sdxl = names.iter().any(|(_, name)| name.starts_with("add_embedding."));
    if is_sdxl != (family == Family::Sdxl) {
        let own = if is_sdxl { "SDXL" } else { "SD1.x or SD2.x" };
        let reason = format!("it is a ControlNet of {own}; the model is of {}: give one of its family", family.name());
        return Err(wrong(tensors.label(), reason));
    }
    let Some((key, _)) = names.iter().find(|(_, name)| name.ends_with(READS_TEXT)) else { return Ok(()) };
    let width = |shape: Option<&[usize]>| shape.and_then(|shape| shape.last().copied());
    let own = width(tensors.shape(key));
    let reader =
        checkpoint.names().iter().find(|key| keys::part_of(key) == Some(Part::Unet) && key.ends_with(READS_TEXT));
    let theirs = reader.and_then(|key| width(checkpoint.shape(key)));
    match (own, theirs) {
        (Some(own), Some(theirs)) if own != theirs => {
            let reason = format!(
                "it is a ControlNet for text states {own} wide; those of the model ({}) are {theirs}: give one of its family",
                family.name()
            );
            Err(wrong(tensors.label(), reason))
        }
        _ => Ok(()),
    }
}

/// Refuses a net whose way down is not that of the UNet `unet`: its outputs would have no place there.
fn refuse_other_layers(tensors: &Tensors, names: &[(String, String)], unet: &Base) -> Result<(), Error> {
    let is_resnet = |name: &str| name.starts_with("down_blocks.") && name.ends_with(".conv1.weight");
    let outputs = |shape: Option<&[usize]>| shape.and_then(|shape| shape.first().copied());
    let mut resnets = 0;
    for (key, name) in names {
        let own = outputs(tensors.shape(key));
        let theirs = unet.keys.get(name).and_then(|key| outputs(unet.tensors.shape(key)));
        if (is_resnet(name) || name == "conv_in.weight") && own != theirs {
            let reason = format!("it is made for a UNet of other layers than the model's (first: {key}); give another");
            return Err(wrong(tensors.label(), reason));
        }
        resnets += usize::from(is_resnet(name));
    }
    if resnets != unet.keys.keys().filter(|name| is_resnet(name)).count() {
        return Err(wrong(tensors.label(), "it lacks layers of the model's UNet; give another ControlNet"));
    }
    Ok(())
}

/// The UNet that a difference is from.
fn base(checkpoint: &Checkpoint) -> Base {
    let all: Vec<&str> = checkpoint.names().iter().map(String::as_str).collect();
    let mut own = BTreeMap::new();
    for (key, name) in keys::diffusers_names(Part::Unet, &all) {
        if let Some(name) = name {
            own.entry(name).or_insert(key.to_string());
        }
    }
    Base { tensors: checkpoint.tensors().clone(), keys: own }
}
