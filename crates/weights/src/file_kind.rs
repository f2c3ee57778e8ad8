//! What a file of tensors is, told by names and shapes alone; for telling, not for reading.
//!
//! The checkpoints that can be used are judged by [`crate::Checkpoint`]; what cannot be used has a name in
//! [`relatives`].

use lorabake_recipe::model::Family;
use serde::Serialize;

use crate::keys::{self, Part};
use crate::tensors::Tensors;

pub(crate) mod relatives;

use relatives::Relative;

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
    /// A network that steers a model by an image.
    ControlNet,
    /// A smaller network by which an image steers a model, or the encoder of its images.
    ImageAdapter,
    /// Layers that make a model paint films.
    MotionModule,
    /// A network that makes pictures larger.
    Upscaler,
    /// A network that finds faces, hands or people in pictures.
    Detector,
    /// The state of a run of lorabake.
    State,
    /// Latents of an image.
    Latents,
    /// Tensors of no kind that is known here.
    Unknown,
}

impl FileKind {
    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Unet => "UNet in diffusers' layout",
            Self::Vae => "VAE",
            Self::TextEncoder => "text encoder",
            Self::Adapter => "LoRA",
            Self::Embedding => "textual inversion (embedding)",
            Self::ControlNet => "ControlNet",
            Self::ImageAdapter => "adapter for images",
            Self::MotionModule => "motion module",
            Self::Upscaler => "upscaler",
            Self::Detector => "detector",
            Self::State => "state of a training of lorabake",
            Self::Latents => "latents of an image",
            Self::Unknown => "tensors of no kind that is known here",
        }
    }
}

/// What kind of thing these tensors are.
pub fn kind(tensors: &Tensors) -> FileKind {
    let starts = |start: &str| tensors.has_start(start);
    if starts("network.") && starts("losses") {
        FileKind::State
    } else if is_adapter(tensors) {
        FileKind::Adapter
    } else if let Some(relative) = relatives::find(tensors) {
        relative.kind
    } else if starts("model.diffusion_model.") || Part::ADAPTED.iter().any(|part| has_part(tensors, *part)) {
        FileKind::Checkpoint
    } else if starts("down_blocks.") && (starts("mid_block.") || starts("conv_in.")) {
        FileKind::Unet
    } else if starts("encoder.down") || starts("decoder.up") || has_part(tensors, Part::Vae) {
        FileKind::Vae
    } else if starts("text_model.") || starts("transformer.resblocks.") {
        FileKind::TextEncoder
    } else if !embedding_widths(tensors).is_empty() {
        FileKind::Embedding
    } else {
        FileKind::Unknown
    }
}

/// Whether these are of a LoRA or one of its relatives. A model may have left-overs of one.
fn is_adapter(tensors: &Tensors) -> bool {
    let has_names = tensors.names().iter().any(|name| keys::is_adapter_key(name)) || tensors.has_start("lycoris_");
    let is_model = [Part::Vae, Part::TextEncoder, Part::TextEncoder2].iter().any(|part| has_part(tensors, *part));
    has_names && !is_model
}

/// Whether some tensors are of this part of a checkpoint.
pub(crate) fn has_part(tensors: &Tensors, part: Part) -> bool {
    part.prefixes().iter().any(|prefix| tensors.has_start(prefix))
}

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
        FileKind::Adapter => adapter_family(tensors).map(str::to_string),
        FileKind::State | FileKind::Latents => None,
        _ => match relatives::find(tensors) {
            Some(Relative { name, .. }) => Some(name.to_string()),
            None => own_family(kind, tensors).map(str::to_string),
        },
    }
}

/// The name of the family of what is no relative.
fn own_family(kind: FileKind, tensors: &Tensors) -> Option<&'static str> {
    match kind {
        FileKind::Checkpoint => Some(match keys::family_of(tensors.names().iter().map(String::as_str)) {
            Family::Sd1 => "Stable Diffusion 1.x",
            Family::Sd2 => "Stable Diffusion 2.x",
            Family::Sdxl => "SDXL base",
        }),
        FileKind::Unet | FileKind::Embedding | FileKind::TextEncoder => {
            let mut widths = embedding_widths(tensors);
            let attention = tensors.names().iter().find(|name| name.ends_with("attn2.to_k.weight"));
            if let Some(name) = attention
                && let Some([.., width]) = tensors.shape(name)
            {
                if *width == 1280 {
                    return Some("SDXL refiner");
                }
                widths.push(*width);
            }
            for norm in ["text_model.final_layer_norm.weight", "ln_final.weight"] {
                if let Some([width, ..]) = tensors.shape(norm) {
                    widths.push(*width);
                }
            }
            let first = *widths.first()?;
            // Two widths are those of SDXL's two text encoders.
            let width = if widths.iter().any(|width| *width != first) { 2048 } else { first };
            by_width(width)
        }
        _ => None,
    }
}

/// SDXL by its names; the others by how wide the text states are that its cross attention reads.
fn adapter_family(tensors: &Tensors) -> Option<&'static str> {
    if let Some(other) = relatives::lora_of_other_family(tensors) {
        return Some(other);
    }
    let names = tensors.names();
    if ["lora_te2_", "lora_unet_input_blocks_", "lora_unet_output_blocks_"].iter().any(|start| tensors.has_start(start))
    {
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
