//! Names of modules in files of nets, from one form to another: kohya's, diffusers' (PEFT's), ComfyUI's.
//!
//! kohya's names have underscores for dots, so they are taken apart by the words that layers are made of. For SDXL his UNet's
//! layers are called as in checkpoints, else as in diffusers. Sources: sd-scripts `networks/lora.py`, diffusers
//! `loaders/lora_conversion_utils.py`, ComfyUI `comfy/lora.py`.

use lorabake_recipe::model::Family;

use super::unet::Layout;
use super::{Part, text};

/// The words of layers.
const WORDS: [&str; 62] = [
    "down_blocks",
    "up_blocks",
    "mid_block",
    "input_blocks",
    "output_blocks",
    "middle_block",
    "attentions",
    "resnets",
    "transformer_blocks",
    "downsamplers",
    "upsamplers",
    "time_embedding",
    "time_embed",
    "time_emb_proj",
    "add_embedding",
    "label_emb",
    "conv_norm_out",
    "conv_shortcut",
    "conv_in",
    "conv_out",
    "conv1",
    "conv2",
    "conv",
    "proj_in",
    "proj_out",
    "proj",
    "attn1",
    "attn2",
    "to_q",
    "to_k",
    "to_v",
    "to_out",
    "ff",
    "net",
    "norm1",
    "norm2",
    "norm3",
    "norm",
    "in_layers",
    "out_layers",
    "emb_layers",
    "skip_connection",
    "linear_1",
    "linear_2",
    "op",
    "out",
    "text_model",
    "text_projection",
    "encoder",
    "layers",
    "self_attn",
    "q_proj",
    "k_proj",
    "v_proj",
    "out_proj",
    "mlp",
    "fc1",
    "fc2",
    "layer_norm1",
    "layer_norm2",
    "final_layer_norm",
    "embeddings",
];

/// A layer that a module is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLayer {
    /// The part of the model.
    pub part: Part,
    /// The path in it, as diffusers and transformers have it.
    pub path: String,
}

impl ModuleLayer {
    /// The layer of a module by kohya's name, or the web UI's of a UNet's; `None` if it is none.
    pub fn of_kohya(module: &str, family: Family) -> Option<Self> {
        let starts = [
            ("lora_unet_", Part::Unet),
            ("diffusion_model_", Part::Unet),
            ("lora_te1_", Part::TextEncoder),
            ("lora_te2_", Part::TextEncoder2),
            ("lora_te_", Part::TextEncoder),
        ];
        let (rest, part) = starts.iter().find_map(|(start, part)| Some((module.strip_prefix(start)?, *part)))?;
        let path = path_of(rest)?;
        let original = ["input_blocks.", "output_blocks.", "middle_block.", "time_embed.", "label_emb.", "out."];
        if part == Part::Unet && original.iter().any(|start| path.starts_with(start)) {
            let name = Layout::usual(family).diffusers_name(&format!("{path}.weight"))?;
            return Some(Self { part, path: name.strip_suffix(".weight")?.to_string() });
        }
        Some(Self { part, path })
    }

    /// kohya's name of the module.
    pub fn kohya(&self, family: Family) -> Option<String> {
        let path = if self.part == Part::Unet && family == Family::Sdxl { self.original()? } else { self.path.clone() };
        let start = match (self.part, family) {
            (Part::Unet, _) => "lora_unet_",
            (Part::TextEncoder, Family::Sdxl) => "lora_te1_",
            (Part::TextEncoder, _) => "lora_te_",
            (Part::TextEncoder2, _) => "lora_te2_",
            (Part::Vae, _) => return None,
        };
        Some(format!("{start}{}", path.replace('.', "_")))
    }

    /// The path in a file of diffusers, without what follows the layer.
    pub fn diffusers(&self) -> Option<String> {
        let network = match self.part {
            Part::Unet => "unet",
            Part::TextEncoder => "text_encoder",
            Part::TextEncoder2 => "text_encoder_2",
            Part::Vae => return None,
        };
        Some(format!("{network}.{}", self.path))
    }

    /// The path in ComfyUI's own form, without what follows the layer.
    pub fn comfyui(&self, family: Family) -> Option<String> {
        match (self.part, family) {
            (Part::Unet, _) => {
                let layout = Layout::usual(family);
                let key = layout.file_key(&format!("{}.weight", self.path))?;
                Some(format!("diffusion_model.{}", key.strip_suffix(".weight")?))
            }
            (Part::TextEncoder, Family::Sd2) => Some(format!("text_encoders.clip_h.transformer.{}", self.path)),
            (Part::TextEncoder, _) => Some(format!("text_encoders.clip_l.transformer.{}", self.path)),
            (Part::TextEncoder2, _) => Some(format!("text_encoders.clip_g.transformer.{}", self.path)),
            (Part::Vae, _) => None,
        }
    }

    /// The path of a UNet's layer in a checkpoint of SDXL.
    fn original(&self) -> Option<String> {
        let key = Layout::usual(Family::Sdxl).file_key(&format!("{}.weight", self.path))?;
        Some(key.strip_suffix(".weight")?.to_string())
    }
}

/// A name with underscores as a path; `None` if it has a word that no layer has.
fn path_of(name: &str) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|symbol: char| symbol.is_ascii_digit()).len();
        let ends = |length: usize| rest[length..].is_empty() || rest[length..].starts_with('_');
        let length = if digits > 0 && ends(digits) {
            digits
        } else {
            let fitting = WORDS.iter().filter(|word| rest.starts_with(**word) && ends(word.len()));
            fitting.map(|word| word.len()).max()?
        };
        parts.push(&rest[..length]);
        rest = rest[length..].trim_start_matches('_');
    }
    Some(parts.join("."))
}

/// The key of a tensor of a text encoder in the original layout, for OpenCLIP's encoders, and the place of queries, keys or
/// values among the joined rows.
pub fn open_clip_key(name: &str) -> Option<(String, Option<usize>)> {
    let third = text::joined(name).map(|(_, third)| third);
    Some((text::open_clip_key(name)?, third))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let kohya = [
            (Family::Sd1, "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0"),
            (Family::Sd1, "lora_unet_up_blocks_3_resnets_2_conv_shortcut"),
            (Family::Sd1, "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_0_proj"),
            (Family::Sd2, "lora_te_text_model_encoder_layers_22_self_attn_out_proj"),
            (Family::Sdxl, "lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k"),
            (Family::Sdxl, "lora_unet_output_blocks_2_2_conv"),
            (Family::Sdxl, "lora_unet_output_blocks_5_2_conv"),
            (Family::Sdxl, "lora_unet_middle_block_1_proj_in"),
            (Family::Sdxl, "lora_unet_input_blocks_3_0_op"),
            (Family::Sdxl, "lora_unet_label_emb_0_2"),
            (Family::Sdxl, "lora_te2_text_model_encoder_layers_31_mlp_fc2"),
        ];
        for (family, name) in kohya {
            let layer = ModuleLayer::of_kohya(name, family).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(layer.kohya(family).as_deref(), Some(name));
            // Names that diffusers' users convert have its paths, for SDXL too.
            let other = format!("lora_unet_{}", layer.path.replace('.', "_"));
            if layer.part == Part::Unet {
                assert_eq!(ModuleLayer::of_kohya(&other, family), Some(layer));
            }
        }
        let layer = ModuleLayer::of_kohya(kohya[4].1, Family::Sdxl).unwrap();
        assert_eq!(layer.diffusers().unwrap(), "unet.down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_k");
        let layer = ModuleLayer::of_kohya(kohya[0].1, Family::Sd1).unwrap();
        let comfyui = "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_out.0";
        assert_eq!(layer.comfyui(Family::Sd1).as_deref(), Some(comfyui));
        assert_eq!(ModuleLayer::of_kohya("lora_unet_mystery_0", Family::Sd1), None);
    }
}
