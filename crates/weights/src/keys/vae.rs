//! VAE keys of a checkpoint → diffusers names.
//!
//! The original decoder counts its levels from the finest up, diffusers from the coarsest. Naming of the targets:
//! diffusers `AutoencoderKL`.

use super::unet::{count, replace_back, replace_start};

/// Layers outside of the levels, after `encoder.` or `decoder.`.
const OUTER: [(&str, &str); 5] = [
    ("conv_in", "conv_in"),
    ("conv_out", "conv_out"),
    ("norm_out", "conv_norm_out"),
    ("mid.block_1", "mid_block.resnets.0"),
    ("mid.block_2", "mid_block.resnets.1"),
];

/// The attention in the middle.
const ATTENTION: [(&str, &str); 5] =
    [("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")];

/// Layers of a residual block.
const RESNET: [(&str, &str); 5] =
    [("norm1", "norm1"), ("conv1", "conv1"), ("norm2", "norm2"), ("conv2", "conv2"), ("nin_shortcut", "conv_shortcut")];

/// Number of decoder levels in a file with these keys (without their common prefix).
pub fn decoder_levels(keys: &[&str]) -> usize {
    count(keys, "decoder.up.")
}

/// The diffusers name of a key without its prefix.
pub fn diffusers_name(key: &str, decoder_levels: usize) -> Option<String> {
    let (half, rest) = key.split_once('.')?;
    match half {
        "quant_conv" | "post_quant_conv" => return Some(key.to_string()),
        "encoder" | "decoder" => {}
        _ => return None,
    }
    if let Some(rest) = rest.strip_prefix("mid.attn_1.") {
        return Some(format!("{half}.mid_block.attentions.0.{}", replace_start(rest, &ATTENTION)?));
    }
    if let Some(name) = replace_start(rest, &OUTER) {
        return Some(format!("{half}.{name}"));
    }
    let (direction, rest) = rest.split_once('.')?;
    let (level, rest) = rest.split_once('.')?;
    let level: usize = level.parse().ok()?;
    let level = match (half, direction) {
        ("encoder", "down") => level,
        ("decoder", "up") => decoder_levels.checked_sub(level + 1)?,
        _ => return None,
    };
    let blocks = format!("{half}.{direction}_blocks.{level}");
    if let Some(rest) = rest.strip_prefix("block.") {
        let (place, rest) = rest.split_once('.')?;
        let place: usize = place.parse().ok()?;
        return Some(format!("{blocks}.resnets.{place}.{}", replace_start(rest, &RESNET)?));
    }
    let conv = rest.strip_prefix(&format!("{direction}sample.conv."))?;
    Some(format!("{blocks}.{direction}samplers.0.conv.{conv}"))
}

/// The way back: the key (without its prefix) for a diffusers name.
pub fn file_key(name: &str, decoder_levels: usize) -> Option<String> {
    let (half, rest) = name.split_once('.')?;
    match half {
        "quant_conv" | "post_quant_conv" => return Some(name.to_string()),
        "encoder" | "decoder" => {}
        _ => return None,
    }
    if let Some(rest) = rest.strip_prefix("mid_block.attentions.0.") {
        return Some(format!("{half}.mid.attn_1.{}", replace_back(rest, &ATTENTION)?));
    }
    if let Some(key) = replace_back(rest, &OUTER) {
        return Some(format!("{half}.{key}"));
    }
    let (direction, rest) = rest.split_once("_blocks.")?;
    let (level, rest) = rest.split_once('.')?;
    let level: usize = level.parse().ok()?;
    let level = if half == "decoder" { decoder_levels.checked_sub(level + 1)? } else { level };
    if let Some(rest) = rest.strip_prefix("resnets.") {
        let (place, rest) = rest.split_once('.')?;
        return Some(format!("{half}.{direction}.{level}.block.{place}.{}", replace_back(rest, &RESNET)?));
    }
    let conv = rest.strip_prefix(&format!("{direction}samplers.0."))?;
    Some(format!("{half}.{direction}.{level}.{direction}sample.{conv}"))
}
