//! LoRAs for other families than ours, by what the names of their modules begin with or contain.
//!
//! Names: sd-scripts' `networks/lora_flux.py` and its kin, diffusers' `loaders/lora_conversion_utils.py`, and those of
//! ai-toolkit, which writes the original model's paths behind `diffusion_model.`.

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

/// The family that these tensors of a LoRA are for, if it is none of ours.
pub(crate) fn other_family(tensors: &Tensors) -> Option<&'static str> {
    let found = FAMILIES.iter().find(|(_, starts)| starts.iter().any(|start| tensors.has_start(start)));
    found.map(|(name, _)| *name)
}

/// Why a LoRA of these tensors is for none of our families, if so.
pub(crate) fn refusal(tensors: &Tensors) -> Option<String> {
    let family = other_family(tensors)?;
    Some(format!("it is a LoRA for {family}; only those of SD1.x, SD2.x and SDXL are supported"))
}
