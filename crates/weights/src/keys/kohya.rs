//! Paths of adapted layers ↔ module names in LoRA files.
//!
//! Kohya's name is the diffusers path with its dots made underscores, so it cannot be split again; the way back goes
//! through the paths that a model has.

use std::collections::BTreeMap;

use super::Part;

/// The module name of the layer at `path` (a diffusers/transformers path without `.weight`); `None` for the VAE, which
/// no LoRA adapts.
pub fn kohya_name(part: Part, path: &str) -> Option<String> {
    let prefix = match part {
        Part::Unet => "lora_unet_",
        Part::TextEncoder => "lora_te_",
        Part::Vae => return None,
    };
    Some(format!("{prefix}{}", path.replace('.', "_")))
}

/// Module name → (part, path), for all layers of a model that could be adapted.
pub fn paths_by_name<'p>(sites: impl IntoIterator<Item = (Part, &'p str)>) -> BTreeMap<String, (Part, &'p str)> {
    sites.into_iter().filter_map(|(part, path)| Some((kohya_name(part, path)?, (part, path)))).collect()
}
