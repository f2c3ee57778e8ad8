//! What other programs do with a LoRA: which of its tensors they leave unused, as far as is known of them.
//!
//! Sources: ComfyUI's `comfy/weight_adapter` (no IA3), diffusers' `lora_conversion_utils.py`, sd-scripts'
//! `networks/lora.py`. The web UI is AUTOMATIC1111's, 1.9 and later (`extensions-builtin/Lora`): it takes what stands
//! before a name's first dot for the layer, in kohya's spelling for all families; reads LoRA, LoHa, LoKr, IA3, OFT, GLoRA,
//! whole differences, norms, bundled embeddings and DoRA; and opens nothing of a file with a module of another kind.

use serde::Serialize;

use super::adapter::AdapterReport;
use crate::tensors::Tensors;

const WEB_UI: &str = "web UI";

/// What one program leaves unused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The program.
    pub host: &'static str,
    /// What, and why.
    pub what: String,
}

/// What is left unused where.
pub(super) fn ignored(adapter: &AdapterReport, tensors: &Tensors) -> Vec<Ignored> {
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
    if adapter.naming != "kohya" {
        say(WEB_UI, "all of it: it reads kohya's names only".into());
    } else {
        let wrapped = tensors.names().iter().filter(|name| name.starts_with("lycoris_")).count();
        if wrapped > 0 {
            say(WEB_UI, format!("{wrapped} tensors of modules called lycoris_…: it knows no such layers"));
        }
        if adapter.algorithms.contains("whole weights") {
            say(WEB_UI, "all of it: it refuses files with whole weights (set_weight)".into());
        }
        if tensors.names().iter().any(|name| name.ends_with(".dora_scale") && by_output(tensors, name)) {
            say(
                WEB_UI,
                "nothing, but it divides by norms of inputs where these dora_scale are of outputs: what it \
                paints differs"
                    .into(),
            );
        }
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
        for host in ["ComfyUI", "diffusers", "sd-scripts"] {
            say(host, format!("{bundled} tensors of bundled embeddings"));
        }
    }
    found
}

/// Whether these magnitudes of DoRA are one for each output, as LyCORIS and PEFT have them, not one for each input.
fn by_output(tensors: &Tensors, name: &str) -> bool {
    tensors.shape(name).and_then(|shape| shape.first()).is_some_and(|outputs| *outputs > 1)
}
