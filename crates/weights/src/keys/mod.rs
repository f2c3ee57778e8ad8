//! Tensor names: which part of a model a key belongs to, and pure maps from one naming to another.
//!
//! Three namings meet here: the original (LDM) one of checkpoint files, the diffusers/transformers one that our model
//! code uses, and kohya's of LoRA files.

use std::fmt;

use lorabake_recipe::model::Family;

pub mod control;
pub mod diffusers;
pub mod esrgan;
pub mod kohya;
pub mod layers;
pub mod net_forms;
pub mod peft;
pub(crate) mod text;
mod unet;
mod vae;
pub mod webui;

/// A tensor that says: the UNet predicts v.
pub const V_PRED: &str = "v_pred";
/// A tensor that says: the UNet was trained with noise that leaves nothing of the image at the last timestep.
pub const ZERO_TERMINAL_SNR: &str = "ztsnr";

/// One of the networks of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The denoiser.
    Unet,
    /// The autoencoder between pictures and latents.
    Vae,
    /// CLIP's text model; for SDXL the first of two.
    TextEncoder,
    /// SDXL's second text model, OpenCLIP's.
    TextEncoder2,
}

impl Part {
    /// All parts.
    pub const ALL: [Part; 4] = [Part::Unet, Part::Vae, Part::TextEncoder, Part::TextEncoder2];

    /// The parts that adapters are trained on, in sd-scripts' order.
    pub const ADAPTED: [Part; 3] = [Part::TextEncoder, Part::TextEncoder2, Part::Unet];

    /// What the keys of this part begin with in a checkpoint file, depending on its family.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Part::Unet => &["model.diffusion_model."],
            Part::Vae => &["first_stage_model."],
            Part::TextEncoder => {
                &["cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.0.transformer."]
            }
            Part::TextEncoder2 => &["conditioner.embedders.1.model."],
        }
    }

    /// The parts that a checkpoint of this family has.
    pub fn of(family: Family) -> &'static [Part] {
        if family == Family::Sdxl { &Self::ALL } else { &Self::ALL[..3] }
    }

    /// Whether it is one of the text encoders.
    pub fn is_text(self) -> bool {
        matches!(self, Part::TextEncoder | Part::TextEncoder2)
    }

    /// A key of this part in two: prefix and the rest.
    fn split(self, key: &str) -> Option<(&'static str, &str)> {
        self.prefixes().iter().find_map(|prefix| Some((*prefix, key.strip_prefix(prefix)?)))
    }

    /// The part's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Unet => "UNet",
            Part::Vae => "VAE",
            Part::TextEncoder => "text encoder",
            Part::TextEncoder2 => "second text encoder",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The part that a checkpoint key belongs to.
pub fn part_of(key: &str) -> Option<Part> {
    Part::ALL.into_iter().find(|part| part.split(key).is_some())
}

/// The family that checkpoints with these keys are of: SD2.x has OpenCLIP's text encoder, SDXL two text encoders. A file
/// without text encoders is told by its UNet: that of SDXL has a second input (`label_emb`).
pub fn family_of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Family {
    let mut by_text = None;
    let mut by_unet = Family::Sd1;
    for key in keys {
        if key.starts_with("conditioner.embedders.") {
            return Family::Sdxl;
        }
        if key.starts_with("cond_stage_model.model.") {
            by_text = Some(Family::Sd2);
        } else if key.starts_with("cond_stage_model.") {
            by_text = by_text.or(Some(Family::Sd1));
        } else if key.starts_with("model.diffusion_model.label_emb.") {
            by_unet = Family::Sdxl;
        }
    }
    by_text.unwrap_or(by_unet)
}

/// Whether a checkpoint key has a say in how the VAE encodes images.
pub fn encodes_images(key: &str) -> bool {
    let own = Part::Vae.split(key);
    own.is_some_and(|(_, key)| key.starts_with("encoder.") || key.starts_with("quant_conv."))
}

/// The (key in the file, diffusers name) pairs of one part, for a file with these keys, in their order; the name is
/// `None` where the key is not understood. Levels and blocks are derived from the keys.
pub fn diffusers_names<'k>(part: Part, keys: &[&'k str]) -> Vec<(&'k str, Option<String>)> {
    let own: Vec<(&str, &str)> = keys.iter().filter_map(|key| Some((*key, part.split(key)?.1))).collect();
    let stripped: Vec<&str> = own.iter().map(|(_, stripped)| *stripped).collect();
    match part {
        Part::Unet => {
            let layout = unet::Layout::of(&stripped);
            own.into_iter().map(|(key, stripped)| (key, layout.diffusers_name(stripped))).collect()
        }
        Part::Vae => {
            let levels = vae::decoder_levels(&stripped);
            own.into_iter().map(|(key, stripped)| (key, vae::diffusers_name(stripped, levels))).collect()
        }
        Part::TextEncoder | Part::TextEncoder2 => {
            own.into_iter().map(|(key, stripped)| (key, text::diffusers_name(stripped))).collect()
        }
    }
}

/// The names of queries, keys and values, of which the tensor that [`diffusers_names`] calls so has the rows one under
/// another; `None` for other tensors.
pub fn unfused(name: &str) -> Option<[String; 3]> {
    let fused = format!(".self_attn.{}.", text::FUSED);
    if !name.contains(&fused) {
        return None;
    }
    Some(text::JOINED.map(|part| name.replace(&fused, &format!(".self_attn.{part}."))))
}

/// The key that a tensor of this diffusers name has, or would have, in a file with these keys; `None` when no block of
/// the file could hold it.
pub fn file_key(part: Part, name: &str, keys: &[&str]) -> Option<String> {
    let split: Vec<(&str, &str)> = keys.iter().filter_map(|key| part.split(key)).collect();
    let prefix = split.first().map_or(part.prefixes()[0], |(prefix, _)| *prefix);
    let stripped: Vec<&str> = split.into_iter().map(|(_, rest)| rest).collect();
    let key = match part {
        Part::Unet => unet::Layout::of(&stripped).file_key(name)?,
        Part::Vae => vae::file_key(name, vae::decoder_levels(&stripped))?,
        Part::TextEncoder | Part::TextEncoder2 if prefix.ends_with(".model.") => text::open_clip_key(name)?,
        Part::TextEncoder | Part::TextEncoder2 => name.to_string(),
    };
    Some(format!("{prefix}{key}"))
}

/// Whether real files have this key although no network needs it: averages and schedules kept by training, the
/// autoencoder's loss, parts of CLIP other than its text model.
pub fn is_harmless(key: &str) -> bool {
    const PREFIXES: [&str; 18] = [
        "model_ema.",
        "sqrt_",
        "log_one_minus",
        "posterior_",
        "first_stage_model.loss.",
        "first_stage_model.quantize.",
        "first_stage_model.model_ema.",
        "cond_stage_model.transformer.vision_model.",
        "cond_stage_model.transformer.visual_projection.",
        "cond_stage_model.transformer.text_projection.",
        "cond_stage_model.transformer.logit_scale",
        "cond_stage_model.logit_scale",
        // OpenCLIP's: SD2.x takes the states before the projection.
        "cond_stage_model.model.text_projection",
        "cond_stage_model.model.logit_scale",
        "conditioner.embedders.0.transformer.text_projection",
        "conditioner.embedders.0.transformer.logit_scale",
        "conditioner.embedders.0.logit_scale",
        "conditioner.embedders.1.model.logit_scale",
    ];
    // The last two say what the UNet predicts; see `Checkpoint::prediction`.
    const WHOLE: [&str; 9] = [
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "lvlb_weights",
        "logvar",
        "scale_factor",
        "denoiser.sigmas",
        V_PRED,
        ZERO_TERMINAL_SNR,
    ];
    WHOLE.contains(&key)
        || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || (part_of(key).is_some_and(Part::is_text) && key.ends_with("embeddings.position_ids"))
}

/// Whether a key is of the averages of the weights (EMA) that training keeps beside them.
pub fn is_average(key: &str) -> bool {
    key.starts_with("model_ema.") || key.starts_with("first_stage_model.model_ema.")
}

/// Whether only a LoRA or one of its relatives has this key.
pub fn is_adapter_key(key: &str) -> bool {
    // The last two are those of XLabs.
    const MARKS: [&str; 8] =
        ["lora_down.", "lora_up.", "lora_A.", "lora_B.", "lora.down.", "lora.up.", "_lora1.", "_lora2."];
    const INSIDE: [&str; 4] = ["ip_adapter.", "image_proj.", "id_encoder.", "lora_weights."];
    let kohya = key.starts_with("lora_unet_") || key.starts_with("lora_te");
    // IP-Adapters for faces and PhotoMakers have LoRAs inside.
    let inside = INSIDE.iter().any(|start| key.starts_with(start));
    kohya || (!inside && MARKS.iter().any(|mark| key.contains(mark)))
}
