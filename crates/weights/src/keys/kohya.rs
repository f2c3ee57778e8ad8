//! Paths of adapted layers ↔ module names in LoRA files.
//!
//! For SD1.x and SD2.x kohya's name is the diffusers path with its dots made underscores, so it cannot be split again;
//! the way back goes through the paths that a model has. For SDXL the UNet's modules are called as in checkpoints, and
//! the text encoders are numbered.

use std::collections::BTreeMap;

use lorabake_recipe::model::Family;

use super::{Part, family_of, unet};

/// How the modules of one checkpoint's LoRAs are called.
#[derive(Debug, Clone)]
pub struct KohyaNames {
    /// Which block of an SDXL checkpoint is what; `None` for other families.
    layout: Option<unet::Layout>,
}

impl KohyaNames {
    /// The names for a checkpoint with these keys.
    pub fn of(keys: &[&str]) -> Self {
        if family_of(keys.iter().copied()) != Family::Sdxl {
            return Self { layout: None };
        }
        let unet: Vec<&str> = keys.iter().filter_map(|key| Some(Part::Unet.split(key)?.1)).collect();
        Self { layout: Some(unet::Layout::of(&unet)) }
    }

    /// The module name of the layer at `path` (a diffusers/transformers path without `.weight`); `None` for the VAE,
    /// which no LoRA adapts, and for what no block of the checkpoint holds.
    pub fn module(&self, part: Part, path: &str) -> Option<String> {
        if self.layout.is_none() {
            return kohya_name(part, path);
        }
        let prefix = match part {
            Part::Unet => "lora_unet_",
            Part::TextEncoder => "lora_te1_",
            Part::TextEncoder2 => "lora_te2_",
            Part::Vae => return None,
        };
        Some(format!("{prefix}{}", self.path(part, path)?.replace('.', "_")))
    }

    /// The path of the layer in the trainer's own network, by which LyCORIS' presets know it.
    pub fn path(&self, part: Part, path: &str) -> Option<String> {
        match &self.layout {
            Some(layout) if part == Part::Unet => {
                Some(layout.file_key(&format!("{path}.weight"))?.strip_suffix(".weight")?.to_string())
            }
            _ => Some(path.to_string()),
        }
    }

    /// Other names by which files may call the layer: those made from diffusers' paths, and a single text encoder's.
    pub fn others(&self, part: Part, path: &str) -> Vec<String> {
        let prefixes: &[&str] = match part {
            Part::Unet if self.layout.is_some() => &["lora_unet_"],
            Part::TextEncoder => &["lora_te1_", "lora_te_"],
            _ => &[],
        };
        prefixes.iter().map(|prefix| format!("{prefix}{}", path.replace('.', "_"))).collect()
    }
}

/// The module name of the layer at `path` in LoRAs for SD1.x and SD2.x; see [`KohyaNames::module`].
pub fn kohya_name(part: Part, path: &str) -> Option<String> {
    let prefix = match part {
        Part::Unet => "lora_unet_",
        Part::TextEncoder => "lora_te_",
        Part::TextEncoder2 | Part::Vae => return None,
    };
    Some(format!("{prefix}{}", path.replace('.', "_")))
}

/// Module name → (part, path), for all layers of a model that could be adapted.
pub fn paths_by_name<'p>(sites: impl IntoIterator<Item = (Part, &'p str)>) -> BTreeMap<String, (Part, &'p str)> {
    sites.into_iter().filter_map(|(part, path)| Some((kohya_name(part, path)?, (part, path)))).collect()
}
