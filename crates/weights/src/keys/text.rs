//! Text encoder keys of a checkpoint → names of transformers' `CLIPTextModel`.
//!
//! SD1.x and SDXL's first encoder differ in their prefix only; some converters drop the `text_model.` level from the
//! file. SD2.x and SDXL's second encoder have OpenCLIP's names, and one matrix for queries, keys and values, which is
//! called [`FUSED`] here.

use super::unet::{replace_back, replace_start};

/// What stands in OpenCLIP's files for `q_proj`, `k_proj` and `v_proj`, one under another.
pub const FUSED: &str = "in_proj";

/// The layers that [`FUSED`] joins, from its first rows to its last.
pub const JOINED: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// OpenCLIP → transformers, whole names.
const WHOLE: [(&str, &str); 4] = [
    ("token_embedding.weight", "text_model.embeddings.token_embedding.weight"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("text_projection", "text_projection.weight"),
    ("text_projection.weight", "text_projection.weight"),
];

/// OpenCLIP → transformers inside of a layer.
const LAYER: [(&str, &str); 5] = [
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
    ("attn.out_proj", "self_attn.out_proj"),
];

/// The transformers name of a key without its prefix.
pub fn diffusers_name(key: &str) -> Option<String> {
    let inner = key.strip_prefix("text_model.").unwrap_or(key);
    let known = ["embeddings.", "encoder.layers.", "final_layer_norm."].iter().any(|start| inner.starts_with(start));
    if known {
        // A buffer of torch, which numbers the positions.
        let is_buffer = inner.ends_with("embeddings.position_ids");
        return if is_buffer { None } else { Some(format!("text_model.{inner}")) };
    }
    if let Some((_, name)) = WHOLE.iter().find(|(own, _)| *own == key) {
        return Some((*name).to_string());
    }
    if let Some(rest) = key.strip_prefix("ln_final.") {
        return Some(format!("text_model.final_layer_norm.{rest}"));
    }
    let (layer, rest) = key.strip_prefix("transformer.resblocks.")?.split_once('.')?;
    let rest = match rest.strip_prefix("attn.in_proj_") {
        Some(leaf) => format!("self_attn.{FUSED}.{leaf}"),
        None => replace_start(rest, &LAYER)?,
    };
    Some(format!("text_model.encoder.layers.{layer}.{rest}"))
}

/// The way back to OpenCLIP's key, without its prefix.
pub fn open_clip_key(name: &str) -> Option<String> {
    if let Some((key, _)) = WHOLE.iter().find(|(_, own)| *own == name) {
        return Some((*key).to_string());
    }
    let inner = name.strip_prefix("text_model.")?;
    if let Some(rest) = inner.strip_prefix("final_layer_norm.") {
        return Some(format!("ln_final.{rest}"));
    }
    let (layer, rest) = inner.strip_prefix("encoder.layers.")?.split_once('.')?;
    let rest = match rest.strip_prefix("self_attn.").and_then(|rest| rest.split_once('.')) {
        Some((part, leaf)) if part != "out_proj" => format!("attn.in_proj_{leaf}"),
        _ => replace_back(rest, &LAYER)?,
    };
    Some(format!("transformer.resblocks.{layer}.{rest}"))
}

/// Where a layer's tensor stands in files that join three of them: the fused tensor's name, and which third of its rows.
pub fn joined(name: &str) -> Option<(String, usize)> {
    let third = JOINED.iter().position(|part| name.contains(&format!(".self_attn.{part}.")))?;
    Some((name.replace(JOINED[third], FUSED), third))
}
