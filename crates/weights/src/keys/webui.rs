//! kohya's module names → those of the AUTOMATIC1111 web UI, by which block weights name layers.
//!
//! The web UI calls the UNet's layers as checkpoints do, `diffusion_model_input_blocks_1_1_proj_in`, and those of text
//! encoders as the library does that computes them: transformers' for SD1.x and SDXL's first, OpenCLIP's for SD2.x and
//! SDXL's second.

use lorabake_recipe::model::Family;

use super::Part;
use super::kohya::{KohyaNames, kohya_name};

/// Layers outside of the blocks.
const OUTER: [(&str, &str); 4] = [
    ("lora_unet_conv_in", "diffusion_model_input_blocks_0_0"),
    ("lora_unet_conv_out", "diffusion_model_out_2"),
    ("lora_unet_time_embedding_linear_1", "diffusion_model_time_embed_0"),
    ("lora_unet_time_embedding_linear_2", "diffusion_model_time_embed_2"),
];

/// Layers of a residual block.
const RESNET: [(&str, &str); 6] = [
    ("norm1", "in_layers_0"),
    ("conv1", "in_layers_2"),
    ("time_emb_proj", "emb_layers_1"),
    ("norm2", "out_layers_0"),
    ("conv2", "out_layers_3"),
    ("conv_shortcut", "skip_connection"),
];

/// Parts of a text encoder's layer, transformers' and OpenCLIP's.
const OPEN_CLIP: [(&str, &str); 3] = [("self_attn", "attn"), ("mlp_fc1", "mlp_c_fc"), ("mlp_fc2", "mlp_c_proj")];

/// Blocks of a level of the UNet of SD1.x and SD2.x.
const PLACES: usize = 3;

/// The web UI's name of a module; a name that it does not rename stays as it is. `open_clip` is true for SD2.x.
pub fn module_name(key: &str, open_clip: bool) -> String {
    if let Some((_, name)) = OUTER.iter().find(|(own, _)| *own == key) {
        return (*name).to_string();
    }
    let renamed = if let Some(rest) = key.strip_prefix("lora_unet_") {
        unet_name(rest)
    } else if let Some(rest) = key.strip_prefix("lora_te_text_model_encoder_layers_") {
        if open_clip {
            open_clip_name(rest).map(|name| format!("model_transformer_resblocks_{name}"))
        } else {
            Some(format!("transformer_text_model_encoder_layers_{rest}"))
        }
    } else if let Some(rest) = key.strip_prefix("lora_te2_text_model_encoder_layers_") {
        open_clip_name(rest).map(|name| format!("1_model_transformer_resblocks_{name}"))
    } else {
        None
    };
    renamed.unwrap_or_else(|| key.to_string())
}

/// The web UI's name of the layer at `path` (a diffusers/transformers path without `.weight`) of a checkpoint; `None` for
/// what no LoRA adapts.
pub fn layer_name(family: Family, names: &KohyaNames, part: Part, path: &str) -> Option<String> {
    let joined = path.replace('.', "_");
    match (family, part) {
        (_, Part::Vae) => None,
        (Family::Sdxl, Part::Unet) => Some(format!("diffusion_model_{}", names.path(part, path)?.replace('.', "_"))),
        (Family::Sdxl, Part::TextEncoder) => Some(format!("0_transformer_{joined}")),
        (Family::Sdxl, Part::TextEncoder2) => Some(module_name(&format!("lora_te2_{joined}"), true)),
        _ => Some(module_name(&kohya_name(part, path)?, family == Family::Sd2)),
    }
}

/// Whether a module of this name takes a net's strength for text encoders, as the web UI tells by the name's beginning.
pub fn is_text(name: &str) -> bool {
    const BEGINNING: usize = 20;
    let end = name.char_indices().nth(BEGINNING).map_or(name.len(), |(end, _)| end);
    name[..end].contains("transformer")
}

/// A name without `lora_unet_`.
fn unet_name(rest: &str) -> Option<String> {
    if let Some(rest) = rest.strip_prefix("mid_block_") {
        let (slot, layer) = numbered(rest.strip_prefix("attentions_").or_else(|| rest.strip_prefix("resnets_"))?)?;
        return Some(match rest.starts_with("attentions_") {
            true => format!("diffusion_model_middle_block_1_{layer}"),
            false => format!("diffusion_model_middle_block_{}_{}", 2 * slot, of_resnet(layer)),
        });
    }
    let (blocks, first, rest) = match rest.strip_prefix("down_blocks_") {
        Some(rest) => ("input_blocks", 1, rest),
        None => ("output_blocks", 0, rest.strip_prefix("up_blocks_")?),
    };
    let (level, rest) = numbered(rest)?;
    let block = |place: usize| first + PLACES * level + place;
    if rest == "downsamplers_0_conv" {
        return Some(format!("diffusion_model_{blocks}_{}_0_op", block(2)));
    }
    if rest == "upsamplers_0_conv" {
        let slot = if level > 0 { 2 } else { 1 };
        return Some(format!("diffusion_model_{blocks}_{}_{slot}_conv", block(2)));
    }
    if let Some(rest) = rest.strip_prefix("attentions_") {
        let (place, layer) = numbered(rest)?;
        return Some(format!("diffusion_model_{blocks}_{}_1_{layer}", block(place)));
    }
    let (place, layer) = numbered(rest.strip_prefix("resnets_")?)?;
    Some(format!("diffusion_model_{blocks}_{}_0_{}", block(place), of_resnet(layer)))
}

/// A number and what follows its underscore. No network has blocks by the thousand.
fn numbered(text: &str) -> Option<(usize, &str)> {
    let (number, rest) = text.split_once('_')?;
    let number: u16 = number.parse().ok()?;
    Some((usize::from(number), rest))
}

fn of_resnet(layer: &str) -> &str {
    RESNET.iter().find(|(own, _)| *own == layer).map_or(layer, |(_, name)| name)
}

/// OpenCLIP's name of a layer's part, `3_mlp_fc1`.
fn open_clip_name(rest: &str) -> Option<String> {
    let (layer, part) = rest.split_once('_')?;
    for (from, to) in OPEN_CLIP {
        if let Some(rest) = part.strip_prefix(from) {
            return Some(format!("{layer}_{to}{rest}"));
        }
    }
    Some(rest.to_string())
}
