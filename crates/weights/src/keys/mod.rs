//! Tensor names: which part of a model a key belongs to, and pure maps from one naming to another.
//!
//! Three namings meet here: the original (LDM) one of checkpoint files, the diffusers/transformers one that our model
//! code uses, and kohya's of LoRA files.

use std::fmt;

pub mod kohya;
mod text;
mod unet;
mod vae;

/// One of the networks of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The denoiser.
    Unet,
    /// The autoencoder between pictures and latents.
    Vae,
    /// CLIP's text model.
    TextEncoder,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 3] = [Part::Unet, Part::Vae, Part::TextEncoder];

    /// What every key of this part begins with in a checkpoint file.
    pub fn prefix(self) -> &'static str {
        match self {
            Part::Unet => "model.diffusion_model.",
            Part::Vae => "first_stage_model.",
            Part::TextEncoder => "cond_stage_model.transformer.",
        }
    }

    /// The part's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Part::Unet => "UNet",
            Part::Vae => "VAE",
            Part::TextEncoder => "text encoder",
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
    Part::ALL.into_iter().find(|part| key.starts_with(part.prefix()))
}

/// Whether a checkpoint key has a say in how the VAE encodes images.
pub fn encodes_images(key: &str) -> bool {
    let own = key.strip_prefix(Part::Vae.prefix());
    own.is_some_and(|key| key.starts_with("encoder.") || key.starts_with("quant_conv."))
}

/// The (key in the file, diffusers name) pairs of one part, for a file with these keys, in their order; the name is
/// `None` where the key is not understood. Levels and blocks are derived from the keys.
pub fn diffusers_names<'k>(part: Part, keys: &[&'k str]) -> Vec<(&'k str, Option<String>)> {
    let own: Vec<(&str, &str)> = keys.iter().filter_map(|key| Some((*key, key.strip_prefix(part.prefix())?))).collect();
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
        Part::TextEncoder => own.into_iter().map(|(key, stripped)| (key, text::diffusers_name(stripped))).collect(),
    }
}

/// The key that a tensor of this diffusers name has, or would have, in a file with these keys; `None` when no block of
/// the file could hold it.
pub fn file_key(part: Part, name: &str, keys: &[&str]) -> Option<String> {
    let stripped: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(part.prefix())).collect();
    let key = match part {
        Part::Unet => unet::Layout::of(&stripped).file_key(name)?,
        Part::Vae => vae::file_key(name, vae::decoder_levels(&stripped))?,
        Part::TextEncoder => name.to_string(),
    };
    Some(format!("{}{key}", part.prefix()))
}

/// Whether real SD1.x files have this key although no network needs it: averages and schedules kept by training, the
/// autoencoder's loss, parts of CLIP other than its text model.
pub fn is_harmless(key: &str) -> bool {
    const PREFIXES: [&str; 12] = [
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
    ];
    const WHOLE: [&str; 6] =
        ["betas", "alphas_cumprod", "alphas_cumprod_prev", "lvlb_weights", "logvar", "scale_factor"];
    WHOLE.contains(&key)
        || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || (part_of(key) == Some(Part::TextEncoder) && key.ends_with("embeddings.position_ids"))
}

/// Whether only a LoRA or one of its relatives has this key.
pub fn is_adapter_key(key: &str) -> bool {
    const MARKS: [&str; 6] = ["lora_down.", "lora_up.", "lora_A.", "lora_B.", "lora.down.", "lora.up."];
    key.starts_with("lora_unet_") || key.starts_with("lora_te") || MARKS.iter().any(|mark| key.contains(mark))
}
