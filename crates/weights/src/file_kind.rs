//! What a file of tensors is, told by names and shapes alone; for telling, not for reading.
//!
//! The checkpoints that can be used are judged by [`crate::Checkpoint`]; here also what cannot be used has a name.

use lorabake_recipe::model::Family;
use serde::Serialize;

use crate::keys::{self, Part};
use crate::tensors::Tensors;

/// What kind of thing a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A whole model.
    Checkpoint,
    /// A UNet in diffusers' layout.
    Unet,
    /// An autoencoder.
    Vae,
    /// A text encoder in transformers' layout.
    TextEncoder,
    /// A LoRA or one of its relatives.
    Adapter,
    /// A textual inversion.
    Embedding,
    /// The state of a run of lorabake.
    State,
    /// Latents of an image.
    Latents,
    /// Tensors of no kind that is known here.
    Unknown,
}

/// What kind of thing these tensors are.
pub fn kind(tensors: &Tensors) -> FileKind {
    let names = tensors.names();
    let starts = |start: &str| names.iter().any(|name| name.starts_with(start));
    let contains = |part: &str| names.iter().any(|name| name.contains(part));
    if starts("network.") && names.iter().any(|name| name == "losses") {
        FileKind::State
    } else if names.iter().any(|name| keys::is_adapter_key(name)) || starts("lycoris_") {
        FileKind::Adapter
    } else if starts("model.diffusion_model.") || contains(SD3_BLOCK) || contains(FLUX_BLOCK) {
        FileKind::Checkpoint
    } else if starts("down_blocks.") && starts("mid_block.") {
        FileKind::Unet
    } else if (starts("encoder.down") || starts(Part::Vae.prefixes()[0])) && contains("conv_in") {
        FileKind::Vae
    } else if starts("text_model.") {
        FileKind::TextEncoder
    } else if !embedding_widths(tensors).is_empty() {
        FileKind::Embedding
    } else {
        FileKind::Unknown
    }
}

/// Part of names that only SD3's checkpoints have.
const SD3_BLOCK: &str = "joint_blocks.0.";
/// Part of names that only Flux' checkpoints have.
const FLUX_BLOCK: &str = "double_blocks.0.";

/// The widths of the vectors of a textual inversion; none if the tensors are none.
fn embedding_widths(tensors: &Tensors) -> Vec<usize> {
    const KNOWN: [&str; 4] = ["emb_params", "clip_l", "clip_g", "t5xxl"];
    const TEXT_WIDTHS: [usize; 3] = [768, 1024, 1280];
    let single = tensors.names().len() == 1;
    let mut widths = Vec::new();
    for name in tensors.names() {
        let Some([.., width]) = tensors.shape(name) else { continue };
        let known = KNOWN.contains(&name.as_str()) || name.starts_with("string_to_param");
        // diffusers calls the tensor as the word that it stands for.
        if known || (single && TEXT_WIDTHS.contains(width)) {
            widths.push(*width);
        }
    }
    widths
}

/// The name of the family, if names or shapes tell.
pub fn family(kind: FileKind, tensors: &Tensors) -> Option<String> {
    match kind {
        FileKind::Checkpoint => Some(checkpoint_family(tensors)),
        FileKind::Adapter => adapter_family(tensors).map(str::to_string),
        FileKind::Unet | FileKind::Embedding | FileKind::TextEncoder => {
            let mut widths = embedding_widths(tensors);
            let attention = tensors.names().iter().find(|name| name.ends_with("attn2.to_k.weight"));
            if let Some(name) = attention
                && let Some([.., width]) = tensors.shape(name)
            {
                widths.push(*width);
            }
            if let Some([width, ..]) = tensors.shape("text_model.final_layer_norm.weight") {
                widths.push(*width);
            }
            let first = *widths.first()?;
            // Two widths are those of SDXL's two text encoders.
            let width = if widths.iter().any(|width| *width != first) { 2048 } else { first };
            by_width(width).map(str::to_string)
        }
        _ => None,
    }
}

fn checkpoint_family(tensors: &Tensors) -> String {
    let names = tensors.names();
    let starts = |start: &str| names.iter().any(|name| name.starts_with(start));
    let contains = |part: &str| names.iter().any(|name| name.contains(part));
    let base = if contains(FLUX_BLOCK) {
        "Flux"
    } else if contains(SD3_BLOCK) {
        "Stable Diffusion 3"
    } else if starts("conditioner.embedders.0.model.") {
        "SDXL refiner"
    } else {
        match keys::family_of(names.iter().map(String::as_str)) {
            Family::Sd1 => "Stable Diffusion 1.x",
            Family::Sd2 => "Stable Diffusion 2.x",
            Family::Sdxl => "SDXL base",
        }
    };
    let purpose = match tensors.shape("model.diffusion_model.input_blocks.0.0.weight") {
        Some([_, 9, ..]) => ", inpainting",
        Some([_, 8, ..]) => ", InstructPix2Pix",
        Some([_, 5, ..]) => ", depth",
        _ => "",
    };
    format!("{base}{purpose}")
}

/// SDXL by its names; the others by how wide the text states are that its cross attention reads.
fn adapter_family(tensors: &Tensors) -> Option<&'static str> {
    let names = tensors.names();
    let starts = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    if starts("lora_unet_double_blocks_") || starts("lora_transformer_") {
        return Some("Flux");
    }
    if starts("lora_unet_joint_blocks_") {
        return Some("Stable Diffusion 3");
    }
    if starts("lora_te2_") || starts("lora_unet_input_blocks_") || starts("lora_unet_output_blocks_") {
        return Some("SDXL base");
    }
    let unet = names.iter().find(|name| name.ends_with("attn2_to_k.lora_down.weight"));
    let unet = unet.or_else(|| names.iter().find(|name| name.ends_with("attn2_to_v.lora_down.weight")));
    let is_text = |name: &&String| name.starts_with("lora_te") && name.ends_with("q_proj.lora_down.weight");
    let reader = unet.or_else(|| names.iter().find(is_text))?;
    by_width(*tensors.shape(reader)?.get(1)?)
}

/// Text states are 768 wide in SD1.x, 1024 in SD2.x, 2048 (768 and 1280) in SDXL.
fn by_width(width: usize) -> Option<&'static str> {
    match width {
        768 => Some("Stable Diffusion 1.x"),
        1024 => Some("Stable Diffusion 2.x"),
        1280 | 2048 => Some("SDXL base"),
        _ => None,
    }
}
