//! ControlNet keys → diffusers names (`ControlNetModel`); the original ones are of Zhang et al.'s `cldm`.

use super::unet::Layout;

/// What the original names have in front, where the net was trained together with its model.
const PREFIX: &str = "control_model.";
/// Convolutions of the original `input_hint_block` stand at even places, activations between them.
const HINT_LAYERS: usize = 8;

/// The (key in the file, diffusers name) pairs of a ControlNet in a file with these keys. What has no name in the network
/// is called as in the file, so that whoever reads it finds it unknown; the model that it was trained with, and what is
/// left of a decoder, is not its own.
pub fn names(keys: &[&str]) -> Vec<(String, String)> {
    let prefix = if keys.iter().any(|key| key.starts_with(PREFIX)) { PREFIX } else { "" };
    let own: Vec<&str> = keys.iter().filter_map(|key| key.strip_prefix(prefix)).collect();
    let is_original = !own.iter().any(|key| key.starts_with("controlnet_cond_embedding."));
    let layout = Layout::of(&own);
    let mut names = Vec::new();
    for key in own {
        let name = if is_original { original(key, &layout) } else { Some(key.to_string()) };
        let name = name.unwrap_or_else(|| key.to_string());
        let is_decoder = ["up_blocks.", "conv_norm_out.", "conv_out."].iter().any(|start| name.starts_with(start));
        // A mark of its own, and no tensor of the network.
        if !is_decoder && key != "difference" {
            names.push((format!("{prefix}{key}"), name));
        }
    }
    names
}

/// The diffusers name of an original key without its prefix.
fn original(key: &str, layout: &Layout) -> Option<String> {
    if let Some(rest) = key.strip_prefix("input_hint_block.") {
        let (place, rest) = rest.split_once('.')?;
        let place: usize = place.parse().ok()?;
        if place % 2 == 1 || place / 2 >= HINT_LAYERS {
            return None;
        }
        let layer = match place / 2 {
            0 => "conv_in".to_string(),
            last if last == HINT_LAYERS - 1 => "conv_out".to_string(),
            between => format!("blocks.{}", between - 1),
        };
        return Some(format!("controlnet_cond_embedding.{layer}.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("zero_convs.") {
        let (number, rest) = rest.split_once(".0.")?;
        return Some(format!("controlnet_down_blocks.{number}.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("middle_block_out.0.") {
        return Some(format!("controlnet_mid_block.{rest}"));
    }
    layout.diffusers_name(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn original_names_become_those_of_diffusers() {
        let keys = [
            "control_model.input_hint_block.0.weight",
            "control_model.input_hint_block.4.bias",
            "control_model.input_hint_block.14.weight",
            "control_model.zero_convs.11.0.weight",
            "control_model.middle_block_out.0.bias",
            "control_model.input_blocks.0.0.weight",
            "control_model.input_blocks.1.0.in_layers.0.weight",
            "control_model.middle_block.1.proj_in.weight",
            "control_model.time_embed.0.bias",
            "control_model.label_emb.0.2.bias",
            "control_model.output_blocks.0.0.in_layers.0.weight",
            "control_model.mystery",
            "model.diffusion_model.input_blocks.0.0.weight",
        ];
        let names: Vec<String> = names(&keys).into_iter().map(|(_, name)| name).collect();
        assert_eq!(
            names,
            [
                "controlnet_cond_embedding.conv_in.weight",
                "controlnet_cond_embedding.blocks.1.bias",
                "controlnet_cond_embedding.conv_out.weight",
                "controlnet_down_blocks.11.weight",
                "controlnet_mid_block.bias",
                "conv_in.weight",
                "down_blocks.0.resnets.0.norm1.weight",
                "mid_block.attentions.0.proj_in.weight",
                "time_embedding.linear_1.bias",
                "add_embedding.linear_2.bias",
                "mystery",
            ]
        );
    }

    #[test]
    fn names_of_diffusers_stay_and_a_mark_is_no_tensor() {
        let keys = ["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.resnets.0.norm1.weight", "difference"];
        let names = names(&keys);
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|(key, name)| key == name));
    }
}
