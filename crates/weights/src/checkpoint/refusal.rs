//! Why a file or a path is no checkpoint that can be used, in words that say what it is and what to do.

use std::path::Path;

use lorabake_recipe::model::Family;

use super::Purpose;
use crate::Error;
use crate::file_kind::relatives::{self, ONLY};
use crate::file_kind::{self, FileKind, has_part};
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

/// Why this file holds another kind of thing than a checkpoint of ours for this purpose, if so.
pub(super) fn of_another_kind(file: &Tensors, purpose: Purpose) -> Option<String> {
    let kind = file_kind::kind(file);
    if kind == FileKind::Adapter {
        let ours = || "it is a LoRA, not a checkpoint; give it as --network_weights instead".to_string();
        return Some(relatives::lora_refusal(file).unwrap_or_else(ours));
    }
    if let Some(relative) = relatives::find(file)
        && !(purpose == Purpose::Painting && relative.is_inpainting())
    {
        return Some(relative.refusal());
    }
    match kind {
        FileKind::Embedding => Some("it is a textual inversion (embedding), not a checkpoint".into()),
        FileKind::State => Some("it is the state of a training; give it as --resume".into()),
        FileKind::Vae => Some("it is a VAE, not a checkpoint (it has no UNet); give it as --vae".into()),
        FileKind::Unet | FileKind::TextEncoder => {
            Some("it is one network of a model in diffusers layout; give the folder of the whole model".into())
        }
        _ if file.has_start("input_blocks.") || file.has_start("diffusion_model.input_blocks.") => {
            Some("it is a UNet alone, without text encoder and VAE; use the whole checkpoint".into())
        }
        _ => None,
    }
}

/// What is missing or damaged in a checkpoint of this family, and in which part.
pub(super) struct Fault {
    /// The part, if it is one alone.
    pub part: Option<Part>,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// What is wrong with a checkpoint, as far as names and shapes tell.
pub(super) fn fault(file: &Tensors, family: Family) -> Option<Fault> {
    missing_parts(file, family).or_else(|| half_vae(file)).or_else(|| impossible_shape(file))
}

fn missing_parts(file: &Tensors, family: Family) -> Option<Fault> {
    let mut missing = Vec::new();
    for part in Part::of(family) {
        let is_there = match part {
            Part::Vae => has_half(file, "encoder") || has_half(file, "decoder"),
            _ => has_part(file, *part),
        };
        if !is_there {
            missing.push(*part);
        }
    }
    let words: Vec<String> = missing.iter().map(|part| format!("no {part}")).collect();
    let reason = match missing.as_slice() {
        [] => return None,
        [Part::Vae] => "it has no VAE; give one by --vae FILE".into(),
        all if all.len() == Part::of(family).len() => {
            format!("it has no part of a Stable Diffusion model ({} tensors); {ONLY}", file.names().len())
        }
        all if all.contains(&Part::Unet) => {
            format!("it is of {} and has {}; use a whole checkpoint", family.name(), words.join(" and "))
        }
        _ => format!("it has {}; use a whole checkpoint of {}", words.join(" and "), family.name()),
    };
    Some(Fault { part: None, reason })
}

/// Whether a half of the VAE is there, at least a piece of it.
fn has_half(file: &Tensors, half: &str) -> bool {
    file.has_start(&format!("{}{half}.", Part::Vae.prefixes()[0]))
}

/// A VAE that has its decoder or its encoder alone, or is of another model.
fn half_vae(file: &Tensors) -> Option<Fault> {
    for (own, other) in [("encoder", "decoder"), ("decoder", "encoder")] {
        if !has_half(file, own) {
            let reason = format!("its VAE has no {own} (only the {other}); give a whole VAE by --vae FILE");
            return Some(Fault { part: Some(Part::Vae), reason });
        }
    }
    match file.shape(&format!("{}decoder.conv_in.weight", Part::Vae.prefixes()[0])) {
        Some([_, channels @ (16 | 32), ..]) => {
            let reason = format!(
                "its VAE is of another model ({channels} channels; Stable Diffusion's have 4); give another by --vae FILE"
            );
            Some(Fault { part: Some(Part::Vae), reason })
        }
        _ => None,
    }
}

/// A tensor of a network that no network can have. What no network reads may have any shape.
fn impossible_shape(file: &Tensors) -> Option<Fault> {
    let keys: Vec<&str> = file.names().iter().map(String::as_str).collect();
    for part in Part::ALL {
        for (key, name) in keys::diffusers_names(part, &keys) {
            let shape = file.shape(key).unwrap_or_default();
            let is_read = name.is_some() && !keys::is_harmless(key);
            if is_read && shape.iter().any(|extent| *extent == 0 || *extent > 1 << 20) {
                let reason =
                    format!("it is damaged: tensor {key} has the impossible shape {shape:?}; use another copy");
                return Some(Fault { part: Some(part), reason });
            }
        }
    }
    None
}
