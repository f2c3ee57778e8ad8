//! How large the file of a recipe's LoRA will be, from a checkpoint's names and shapes alone.
//!
//! Which layers are adapted follows sd-scripts' `networks.lora`; it is checked against files that it made. No weights
//! are read, so this answers at once, also for models that would not fit into memory.

use std::collections::BTreeMap;

use lorabake_recipe::model::Family;
use lorabake_recipe::network::{Network, Scope};
use lorabake_recipe::output::SavePrecision;
use safetensors::Dtype;

use crate::keys::kohya::KohyaNames;
use crate::keys::text::{FUSED, JOINED};
use crate::keys::{Part, diffusers_names, family_of};
use crate::lora;

/// A tensor of a LoRA file: its key and shape.
pub type LoraTensor = (String, Vec<usize>);

/// The tensors of the LoRA that `network` asks for, given a checkpoint's keys with their shapes.
///
/// With `--dim_from_weights` the file of those weights says it instead.
pub fn lora_tensors(keys: &[(&str, &[usize])], network: &Network) -> Vec<LoraTensor> {
    let names: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let mut tensors = Vec::new();
    let modules = KohyaNames::of(&names);
    let family = family_of(names.iter().copied());
    let unused = |path: &str| family == Family::Sd2 && path.starts_with(SD2_UNUSED);
    for part in Part::ADAPTED {
        let left_alone = if part == Part::Unet { Scope::TextEncoderOnly } else { Scope::UnetOnly };
        if network.scope == left_alone {
            continue;
        }
        for (key, name) in diffusers_names(part, &names) {
            let shape = keys.iter().find(|(own, _)| *own == key).map_or(&[][..], |(_, shape)| *shape);
            let path = name.as_deref().and_then(|name| name.strip_suffix(".weight"));
            let Some((path, rank)) = path.and_then(|path| Some((path, rank(path, shape, network)?))) else { continue };
            // SD2.x' trainer has these two as 1×1 convolutions, whatever the file has.
            let kernel = family == Family::Sd2 && (path.ends_with(".proj_in") || path.ends_with(".proj_out"));
            let fused = path.ends_with(FUSED);
            let (down, up) = match *shape {
                [outputs, inputs] if kernel => (vec![rank, inputs, 1, 1], vec![outputs, rank, 1, 1]),
                [outputs, inputs] => (vec![rank, inputs], vec![if fused { outputs / 3 } else { outputs }, rank]),
                [outputs, inputs, a, b] => (vec![rank, inputs, a, b], vec![outputs, rank, 1, 1]),
                _ => continue,
            };
            let paths =
                if fused { JOINED.map(|own| path.replace(FUSED, own)).to_vec() } else { vec![path.to_string()] };
            for path in paths.iter().filter(|path| !unused(path)) {
                let Some(module) = modules.module(part, path) else { continue };
                tensors.push((format!("{module}.alpha"), Vec::new()));
                tensors.push((format!("{module}.lora_down.weight"), down.clone()));
                tensors.push((format!("{module}.lora_up.weight"), up.clone()));
            }
        }
    }
    tensors
}

/// The last layer of SD2.x' text encoder, whose output nobody reads.
const SD2_UNUSED: &str = "text_model.encoder.layers.23.";

/// The rank of the layer at a diffusers path, if it gets a LoRA.
fn rank(path: &str, shape: &[usize], network: &Network) -> Option<usize> {
    if shape.len() < 2 {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|word| path.contains(word));
    if has(&[".attentions.", ".self_attn.", ".mlp."]) {
        return Some(network.linear.rank);
    }
    let conv = network.conv.filter(|_| has(&[".resnets.", ".downsamplers.", ".upsamplers."]))?;
    Some(if shape.get(2).is_some_and(|kernel| *kernel > 1) { conv.rank } else { network.linear.rank })
}

/// Bytes of a LoRA file with these tensors and this metadata (without the two hashes, which are added).
///
/// Times and random numbers in the metadata are a few digits longer or shorter from run to run; the rest is exact.
pub fn file_bytes(tensors: &[LoraTensor], precision: SavePrecision, metadata: &BTreeMap<String, String>) -> u64 {
    let dtype = match precision {
        SavePrecision::F32 => Dtype::F32,
        SavePrecision::F16 => Dtype::F16,
        SavePrecision::Bf16 => Dtype::BF16,
    };
    let numbers: usize = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    lora::header_bytes(tensors, dtype, metadata) + (numbers * dtype.bitsize() / 8) as u64
}
