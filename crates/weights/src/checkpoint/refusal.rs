//! Why a file or a path is no checkpoint that can be used, in words that say what it is and what to do.

use std::path::Path;

use crate::Error;
use crate::file_kind::{self, FileKind};
use crate::keys::{self, Part};
use crate::tensors::Tensors;

/// Names of the hub are taken by sd-scripts, and lorabake never uses the network.
pub(super) fn refuse_hub_name(path: &Path) -> Result<(), Error> {
    let Some(name) = path.to_str() else { return Ok(()) };
    let Some((owner, model)) = name.split_once('/') else { return Ok(()) };
    let suffixes = ["safetensors", "ckpt", "pt", "pth", "bin"];
    let is_file_name =
        path.extension().is_some_and(|own| suffixes.iter().any(|suffix| own.eq_ignore_ascii_case(suffix)));
    if path.exists() || is_file_name || !is_hub_word(owner) || !is_hub_word(model) {
        return Ok(());
    }
    let reason = format!(
        "there is no such file or folder; if it is a model of the Hugging Face hub, download it first, for instance with \
         `hf download {name} --local-dir {model}`, and give that folder: lorabake never uses the network"
    );
    Err(Error::WrongKind { file: name.to_string(), reason })
}

/// Whether owners and models of the hub may be called so.
fn is_hub_word(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !word.is_empty() && !word.starts_with('.') && word.chars().all(plain)
}

/// Why this file is no checkpoint of a family that we know, if it is none.
pub(super) fn refusal(file: &Tensors) -> Option<String> {
    const ONLY: &str = "only SD1.x, SD2.x and SDXL checkpoints are supported";
    let names = file.names();
    let starts = |start: &str| names.iter().any(|name| name.starts_with(start));
    let contains = |part: &str| names.iter().any(|name| name.contains(part));
    if names.iter().any(|name| keys::is_adapter_key(name)) {
        return Some("it is a LoRA, not a checkpoint; give it as --network_weights instead".into());
    }
    if file_kind::kind(file) == FileKind::Embedding {
        return Some("it is a textual inversion (embedding), not a checkpoint".into());
    }
    let other_family = if starts("conditioner.embedders.0.model.") {
        Some("SDXL refiner")
    } else if contains("joint_blocks.0.") {
        Some("SD3")
    } else if contains("double_blocks.0.") {
        Some("Flux")
    } else {
        None
    };
    if let Some(family) = other_family {
        return Some(format!("it is a model of the {family} family; {ONLY}"));
    }
    if starts("down_blocks.0.") || starts("encoder.down_blocks.0.") || starts("text_model.encoder.") {
        return Some("it is one network of a model in diffusers layout; give the folder of the whole model".into());
    }
    let family = keys::family_of(names.iter().map(String::as_str));
    for part in Part::of(family) {
        if !names.iter().any(|name| keys::part_of(name) == Some(*part)) {
            return Some(format!("it has no {part} of a Stable Diffusion model ({} tensors); {ONLY}", names.len()));
        }
    }
    for name in names {
        let shape = file.shape(name).unwrap_or_default();
        if shape.iter().any(|extent| *extent == 0 || *extent > 1 << 20) {
            return Some(format!("it is damaged: tensor {name} has the impossible shape {shape:?}"));
        }
    }
    match file.shape("model.diffusion_model.input_blocks.0.0.weight") {
        Some([_, 9, ..]) => Some("it is an inpainting model (9 input channels); use the base model".into()),
        Some([_, 5, ..]) => Some("it is a depth model (5 input channels); use the base model".into()),
        Some([_, 8, ..]) => Some("it is an InstructPix2Pix model (8 input channels); use the base model".into()),
        _ => None,
    }
}
