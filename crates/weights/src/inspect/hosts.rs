//! What other programs do with a LoRA: which of its tensors they leave unused, as far as is known of them.
//!
//! Sources: ComfyUI's `comfy/weight_adapter` (no IA3), the web UI's `extensions-builtin/Lora`, diffusers'
//! `lora_conversion_utils.py`, sd-scripts' `networks/lora.py`.

use serde::Serialize;

use super::Adapter;
use crate::tensors::Tensors;

/// What one program leaves unused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The program.
    pub host: &'static str,
    /// What, and why.
    pub what: String,
}

/// What is left unused where.
pub(super) fn ignored(adapter: &Adapter, tensors: &Tensors) -> Vec<Ignored> {
    let mut found = Vec::new();
    let mut say = |host, what: String| found.push(Ignored { host, what });
    let beyond: Vec<&str> = adapter.algorithms.iter().copied().filter(|name| *name != "LoRA").collect();
    if adapter.algorithms.contains("IA3") {
        say("ComfyUI", "IA3: it has no effect there".into());
    }
    if !beyond.is_empty() {
        let names = beyond.join(", ");
        say("diffusers", format!("{names}: only LoRA is read"));
        say("sd-scripts", format!("{names}: networks.lora reads only LoRA; LyCORIS' lycoris.kohya reads them"));
    }
    if adapter.algorithms.contains("LoRA") && adapter.tucker {
        say("diffusers", "lora_mid (Tucker form): it is not read".into());
    }
    if adapter.dora {
        say("sd-scripts", "dora_scale: networks.lora does not read it; LyCORIS does".into());
    }
    if adapter.naming != "kohya" {
        say("sd-scripts", "all of it: networks.lora reads kohya's names only".into());
    }
    let bundled = tensors.names().iter().filter(|name| name.starts_with("bundle_emb.")).count();
    if bundled > 0 {
        say("diffusers", format!("{bundled} tensors of bundled embeddings"));
        say("sd-scripts", format!("{bundled} tensors of bundled embeddings"));
    }
    found
}
