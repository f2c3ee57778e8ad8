//! LoRAs for other families than ours, by what the names of their modules begin with or contain.
//!
//! Names: sd-scripts' `networks/lora_flux.py` and its kin, diffusers' `loaders/lora_conversion_utils.py`, and those of
//! ai-toolkit, which writes the original model's paths behind `diffusion_model.`.

use crate::keys::peft;
use crate::tensors::Tensors;

/// Name of a family, and beginnings of names of which only its LoRAs have one; the first that fits counts.
const FAMILIES: [(&str, &[&str]); 15] = [
    (
        "Hunyuan Video",
        &["lora_unet_txt_in_individual_token_refiner", "diffusion_model.txt_in.individual_token_refiner."],
    ),
    ("Chroma", &["lora_unet_distilled_guidance_layer", "diffusion_model.distilled_guidance_layer."]),
    (
        "Flux",
        &[
            "lora_unet_double_blocks_",
            "lora_unet_single_blocks_",
            "lora_transformer_single_transformer_blocks_",
            "transformer.single_transformer_blocks.",
            "single_transformer_blocks.",
            "base_model.model.single_transformer_blocks.",
            "diffusion_model.double_blocks.",
            "diffusion_model.single_blocks.",
            "double_blocks.",
            "single_blocks.",
        ],
    ),
    (
        "Qwen-Image",
        &[
            "lora_unet_transformer_blocks_0_img_mlp",
            "transformer_blocks.0.img_mlp.",
            "transformer.transformer_blocks.0.img_mlp.",
            "diffusion_model.transformer_blocks.0.img_mlp.",
        ],
    ),
    ("LTX-Video", &["diffusion_model.transformer_blocks.0.attn1.", "diffusion_model.patchify_proj."]),
    (
        "PixArt",
        &[
            "lora_transformer_transformer_blocks_0_attn1_",
            "transformer.transformer_blocks.0.attn1.",
            "base_model.model.transformer_blocks.0.attn1.",
        ],
    ),
    (
        "Stable Diffusion 3",
        &[
            "lora_unet_joint_blocks_",
            "lora_te3_",
            "lora_transformer_transformer_blocks_",
            "transformer.transformer_blocks.",
            "base_model.model.transformer_blocks.",
            "diffusion_model.joint_blocks.",
        ],
    ),
    (
        "Wan",
        &[
            "lora_unet_blocks_0_cross_attn",
            "lora_unet_blocks_0_self_attn",
            "diffusion_model.blocks.0.cross_attn.",
            "diffusion_model.blocks.0.self_attn.",
            "transformer.blocks.0.attn1.",
            "blocks.0.self_attn.",
            "blocks.0.cross_attn.",
        ],
    ),
    (
        "Z-Image or Lumina",
        &[
            "lora_unet_layers_0_attention",
            "diffusion_model.layers.0.attention.",
            "transformer.layers.0.attention.",
            "layers.0.attention.",
        ],
    ),
    ("HiDream", &["diffusion_model.double_stream_blocks.", "transformer.double_stream_blocks."]),
    ("AuraFlow", &["diffusion_model.double_layers.", "transformer.joint_transformer_blocks."]),
    (
        "Hunyuan-DiT",
        &["lora_unet_blocks_0_attn1_Wqkv", "lora_unet_blocks_0_attn2_kv_proj", "transformer.blocks.0.attn2."],
    ),
    ("Stable Cascade", &["lora_prior_unet_", "lora_prior_te_"]),
    ("Kolors", &["lora_unet_encoder_hid_proj"]),
    ("another family than Stable Diffusion", &["lora_transformer_", "lora_llm_adapter_", "transformer."]),
];

/// SDXL's refiner, whose LoRAs have names as those for SDXL.
const REFINER: &str = "SDXL refiner";

/// What the names of modules of a UNet of Stable Diffusion begin with.
const UNET: [&str; 6] = [
    "lora_unet_down_blocks_",
    "lora_unet_mid_block_",
    "lora_unet_up_blocks_",
    "lora_unet_input_blocks_",
    "lora_unet_middle_block_",
    "lora_unet_output_blocks_",
];

/// Layers of attention, and how wide is what they read in SDXL's refiner and in no other UNet.
const REFINER_WIDTHS: [(&str, &[usize]); 6] = [
    ("_attn2_to_k", &[1280]),
    ("_attn2_to_v", &[1280]),
    ("_attn2_to_q", &[768, 1536]),
    ("_attn1_to_q", &[768, 1536]),
    ("_attn1_to_k", &[768, 1536]),
    ("_attn1_to_v", &[768, 1536]),
];

/// The family that these tensors of a LoRA are for, if it is none of ours.
pub(crate) fn other_family(tensors: &Tensors) -> Option<&'static str> {
    let found = FAMILIES.iter().find(|(_, starts)| starts.iter().any(|start| tensors.has_start(start)));
    if let Some((name, _)) = found {
        return Some(name);
    }
    if tensors.names().iter().any(|name| is_of_refiner(tensors, name)) { Some(REFINER) } else { None }
}

/// Whether only SDXL's refiner has a layer as the one that this tensor adapts.
fn is_of_refiner(tensors: &Tensors, name: &str) -> bool {
    let Some([_, width]) = tensors.shape(name) else { return false };
    let (module, tensor) = match peft::parse(name) {
        Some(peft) => (peft.module, peft.tensor),
        None => match name.split_once('.') {
            Some((module, tensor)) => (module.to_string(), tensor),
            None => return false,
        },
    };
    if !["lora_down.weight", "hada_w1_b"].contains(&tensor) || !UNET.iter().any(|start| module.starts_with(start)) {
        return false;
    }
    REFINER_WIDTHS.iter().any(|(layer, widths)| module.ends_with(layer) && widths.contains(width))
}

/// Why a LoRA of these tensors is for none of our families, if so.
pub(crate) fn refusal(tensors: &Tensors) -> Option<String> {
    Some(match other_family(tensors)? {
        REFINER => {
            "it is a LoRA for the SDXL refiner; only those of SD1.x, SD2.x and SDXL's base model are supported".into()
        }
        family => format!("it is a LoRA for {family}; only those of SD1.x, SD2.x and SDXL are supported"),
    })
}
