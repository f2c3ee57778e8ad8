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

/// What one program leaves unused of a LoRA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// The program.
    pub host: &'static str,
    /// What it leaves unused, and why.
    pub what: Unused,
}

/// What a program may leave unused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unused {
    /// The whole file: it reads kohya's names only.
    OtherNames,
    /// The whole file: it refuses whole weights (`set_weight`).
    WholeWeights,
    /// Modules of these algorithms.
    Algorithms(Vec<&'static str>),
    /// The middle tensors of LoRAs in Tucker form.
    Tucker,
    /// The magnitudes of DoRA.
    DoraScale,
    /// Nothing, but magnitudes of DoRA that are one for each output are taken for those of inputs.
    DoraOfInputs,
    /// So many tensors of modules called `lycoris_…`.
    LycorisModules(usize),
    /// So many tensors of bundled embeddings.
    BundledEmbeddings(usize),
}

/// Which program leaves what unused.
pub(super) fn ignored(adapter: &AdapterReport, tensors: &Tensors) -> Vec<Ignored> {
    let mut ignored = Vec::new();
    let mut note = |host, what| ignored.push(Ignored { host, what });
    let has = |algorithm: &str| adapter.algorithms.contains(algorithm);
    let kohya = adapter.naming == "kohya";
    if has("IA3") {
        note("ComfyUI", Unused::Algorithms(vec!["IA3"]));
    }
    let beyond_lora: Vec<&str> = adapter.algorithms.iter().copied().filter(|name| *name != "LoRA").collect();
    if !beyond_lora.is_empty() {
        note("diffusers", Unused::Algorithms(beyond_lora.clone()));
        note("sd-scripts", Unused::Algorithms(beyond_lora));
    }
    if kohya {
        let lycoris = count_starting_with(tensors, "lycoris_");
        if lycoris > 0 {
            note(WEB_UI, Unused::LycorisModules(lycoris));
        }
        if has("whole weights") {
            note(WEB_UI, Unused::WholeWeights);
        }
        if tensors.names().iter().any(|name| name.ends_with(".dora_scale") && by_output(tensors, name)) {
            note(WEB_UI, Unused::DoraOfInputs);
        }
    } else {
        note(WEB_UI, Unused::OtherNames);
    }
    if has("LoRA") && adapter.tucker {
        note("diffusers", Unused::Tucker);
    }
    if adapter.dora {
        note("sd-scripts", Unused::DoraScale);
    }
    if !kohya {
        note("sd-scripts", Unused::OtherNames);
    }
    let bundled = count_starting_with(tensors, "bundle_emb.");
    if bundled > 0 {
        for host in ["ComfyUI", "diffusers", "sd-scripts"] {
            note(host, Unused::BundledEmbeddings(bundled));
        }
    }
    ignored
}

fn count_starting_with(tensors: &Tensors, start: &str) -> usize {
    tensors.names().iter().filter(|name| name.starts_with(start)).count()
}

/// Whether these magnitudes of DoRA are one for each output, as LyCORIS and PEFT have them, not one for each input.
fn by_output(tensors: &Tensors, name: &str) -> bool {
    tensors.shape(name).and_then(|shape| shape.first()).is_some_and(|outputs| *outputs > 1)
}
