//! The relatives, each with the marks by which it is known; of two that fit the first counts.
//! Sources of names and shapes: diffusers' `loaders/single_file_utils.py` and its conversion scripts; the published
//! models' own code.
// tidy: table

use Mark::{Axis, Has, Lacks, Of};
use lorabake_recipe::model::Family::{Sd1, Sd2, Sdxl};

use super::{Mark, ONLY, Relative};
use crate::file_kind::FileKind::{
    Checkpoint, ControlNet, Detector, ImageAdapter, MotionModule, TextEncoder, Upscaler, Vae,
};

const BASE: &str = "use the base model";
const BASE_SD2: &str = "use the base model, SD2.1";
const BASE_SDXL: &str = "use the base model, SDXL";
const BESIDE: &str = "give the checkpoint that it stands beside";
/// The UNet's first convolution, whose second axis says what it is given beside latents.
const FIRST: &str = "input_blocks.0.0.weight";

/// Models of several kinds have such a UNet, and only their folders tell which.
const EIGHT: &str = "a model whose UNet has 8 input channels (as of InstructPix2Pix, Marigold or an upscaler)";

/// A model of another family: its name, and its marks.
macro_rules! family {
    ($name:literal, $($mark:expr),+) => {
        Relative {
            kind: Checkpoint,
            name: $name,
            is: concat!("a model of the ", $name, " family"),
            instead: ONLY,
            marks: &[$($mark),+],
        }
    };
}

/// A relative of one of our families: its name, what it is, what to use instead, its marks.
macro_rules! relative {
    ($name:literal, $is:expr, $instead:expr, $($mark:expr),+) => {
        Relative { kind: Checkpoint, name: $name, is: $is, instead: $instead, marks: &[$($mark),+] }
    };
}

/// A network that stands beside a model: its kind and name, what it is, its marks.
macro_rules! beside {
    ($kind:expr, $name:literal, $is:literal, $($mark:expr),+) => {
        Relative { kind: $kind, name: $name, is: $is, instead: BESIDE, marks: &[$($mark),+] }
    };
}

/// All of them.
pub(super) const RELATIVES: &[Relative] = &[
    // Networks that stand beside a model; some files have the model too.
    beside!(ControlNet, "SDXL", "a ControlNet of SDXL", Has("control_model.label_emb.")),
    beside!(ControlNet, "SDXL", "a ControlNet of SDXL", Has("controlnet_cond_embedding."), Has("add_embedding.")),
    beside!(ControlNet, "SDXL", "a ControlNet of SDXL", Has("input_hint_block."), Has("label_emb.")),
    beside!(ControlNet, "Stable Diffusion 1.x or 2.x", "a ControlNet", Has("control_model.")),
    beside!(ControlNet, "Stable Diffusion 1.x or 2.x", "a ControlNet", Has("controlnet_cond_embedding.")),
    beside!(ControlNet, "Stable Diffusion 1.x or 2.x", "a ControlNet", Has("input_hint_block.")),
    beside!(ControlNet, "Flux", "a ControlNet of Flux", Has("controlnet_x_embedder.")),
    beside!(ControlNet, "Flux or Stable Diffusion 3", "a ControlNet of Flux or SD3", Has("controlnet_blocks.")),
    beside!(ControlNet, "a Control-LoRA", "a Control-LoRA", Has("lora_controlnet")),
    beside!(ControlNet, "ControlNet-LLLite", "a ControlNet-LLLite", Has("lllite_unet")),
    beside!(ControlNet, "Z-Image", "a ControlNet of Z-Image", Has("control_all_x_embedder.")),
    beside!(ImageAdapter, "PhotoMaker", "a PhotoMaker (it paints people as on photos)", Has("id_encoder.")),
    beside!(ImageAdapter, "IP-Adapter", "an IP-Adapter", Has("ip_adapter.")),
    beside!(ImageAdapter, "IP-Adapter", "an IP-Adapter", Has("image_proj."), Lacks("input_blocks.")),
    beside!(ImageAdapter, "T2I-Adapter", "a T2I-Adapter", Has("adapter.body.")),
    beside!(ImageAdapter, "T2I-Adapter", "a T2I-Adapter", Has("adapter.conv_in.")),
    beside!(ImageAdapter, "T2I-Adapter", "a T2I-Adapter", Has("body.0.block1.")),
    beside!(ImageAdapter, "T2I-Adapter", "a T2I-Adapter", Has("body.0.in_conv.")),
    beside!(ImageAdapter, "T2I-Adapter", "a T2I-Adapter", Has("body.0.resnets.")),
    beside!(MotionModule, "AnimateDiff", "a motion module of AnimateDiff", Has("down_blocks.0.motion_modules.")),
    beside!(Upscaler, "ESRGAN", "an upscaler (ESRGAN)", Has("1.sub.0.RDB1.")),
    beside!(Upscaler, "ESRGAN", "an upscaler (ESRGAN)", Has("conv_first."), Has("RRDB_trunk.")),
    beside!(Upscaler, "ESRGAN", "an upscaler (ESRGAN)", Has("conv_first."), Has("body.0.")),
    beside!(Upscaler, "SwinIR or its kin", "an upscaler", Has("conv_first."), Has("layers.0.")),
    beside!(Detector, "YOLO", "a detector (YOLO, which finds faces or hands)", Has("22.cv2.0."), Has("22.cv3.0.")),
    // Relatives of our families.
    relative!(
        "SDXL, CosXL edit",
        "CosXL edit (it edits images, and has another noise schedule)",
        BASE_SDXL,
        Has("edm_vpred."),
        Axis(FIRST, 1, 8)
    ),
    relative!("SDXL, CosXL", "CosXL (SDXL with another noise schedule, EDM)", BASE_SDXL, Has("edm_vpred."), Of(Sdxl)),
    relative!(
        "SDXL, Playground v2.5",
        "Playground v2.5 (SDXL with other latents and another noise schedule, EDM)",
        BASE_SDXL,
        Has("edm_mean"),
        Has("edm_std")
    ),
    relative!(
        "Stable Diffusion 2.x, unCLIP",
        "an unCLIP model (it is conditioned on an image as well)",
        BASE_SD2,
        Has("noise_augmentor.")
    ),
    relative!(
        "Stable Diffusion 2.x, unCLIP",
        "an unCLIP model (it is conditioned on an image as well)",
        BASE_SD2,
        Has("embedder."),
        Has("label_emb.")
    ),
    relative!(
        "Stable Diffusion 2.x, unCLIP",
        "an unCLIP model (it is conditioned on an image as well)",
        BASE_SD2,
        Has("cond_stage_model.model."),
        Has("label_emb.0.")
    ),
    relative!(
        "Stable Diffusion 2.x, unCLIP",
        "an unCLIP model (it is conditioned on an image as well)",
        BASE_SD2,
        Has("class_embedding.linear_1.")
    ),
    relative!(
        "Stable Diffusion x4 upscaler",
        "the x4 upscaler of SD2.x (it is given a small image)",
        BASE_SD2,
        Axis(FIRST, 1, 7)
    ),
    relative!(
        "Stable Diffusion x4 upscaler",
        "the x4 upscaler of SD2.x (it is given a small image)",
        BASE_SD2,
        Has("low_scale_model.")
    ),
    relative!("Stable Diffusion 2.x, depth", "a depth model (5 input channels)", BASE_SD2, Axis(FIRST, 1, 5)),
    relative!("Stable Diffusion 2.x, depth", "a depth model", BASE_SD2, Has("depth_model.")),
    relative!("SDXL, inpainting", "an inpainting model (9 input channels)", BASE_SDXL, Axis(FIRST, 1, 9), Of(Sdxl)),
    relative!(
        "Stable Diffusion 2.x, inpainting",
        "an inpainting model (9 input channels)",
        BASE_SD2,
        Axis(FIRST, 1, 9),
        Of(Sd2)
    ),
    relative!(
        "Stable Diffusion 1.x, inpainting",
        "an inpainting model (9 input channels)",
        BASE,
        Axis(FIRST, 1, 9),
        Of(Sd1)
    ),
    relative!(
        "Stable Zero123",
        "a Zero123 model (it turns objects of images)",
        "use the base model, SD1.5",
        Has("cc_projection.")
    ),
    relative!("Stable Video Diffusion", "Stable Video Diffusion", ONLY, Has("input_blocks.1.1.time_stack.")),
    relative!("Stable Video Diffusion", "Stable Video Diffusion", ONLY, Has("conditioner.embedders.0.open_clip.")),
    relative!(
        "Stable Video Diffusion",
        "Stable Video Diffusion",
        ONLY,
        Has("down_blocks.0.attentions.0.temporal_transformer_blocks.")
    ),
    relative!("SDXL, UNet of 8 input channels", EIGHT, BASE_SDXL, Axis(FIRST, 1, 8), Of(Sdxl)),
    relative!("Stable Diffusion 2.x, UNet of 8 input channels", EIGHT, BASE_SD2, Axis(FIRST, 1, 8), Of(Sd2)),
    relative!("Stable Diffusion 1.x, UNet of 8 input channels", EIGHT, BASE, Axis(FIRST, 1, 8), Of(Sd1)),
    relative!(
        "Kolors",
        "Kolors (SDXL's UNet with a language model for prompts)",
        ONLY,
        Has("encoder_hid_proj.weight"),
        Lacks("add_embedding.pool.")
    ),
    relative!(
        "Kolors",
        "Kolors (SDXL's UNet with a language model for prompts)",
        ONLY,
        Axis("label_emb.0.0.weight", 1, 5632)
    ),
    relative!("SDXL refiner", "the SDXL refiner", BASE_SDXL, Has("conditioner.embedders.0.model.")),
    relative!("SDXL refiner", "the SDXL refiner", BASE_SDXL, Axis("label_emb.0.0.weight", 1, 2560)),
    relative!(
        "SDXL, SSD-1B (pruned)",
        "SSD-1B, a pruned SDXL",
        BASE_SDXL,
        Of(Sdxl),
        Lacks("middle_block.1."),
        Has("input_blocks.7.1.transformer_blocks.3."),
        Lacks("input_blocks.7.1.transformer_blocks.4.")
    ),
    relative!(
        "SDXL, Segmind Vega (pruned)",
        "Segmind Vega, a pruned SDXL",
        BASE_SDXL,
        Of(Sdxl),
        Lacks("middle_block.1."),
        Has("input_blocks.7.1.transformer_blocks.1."),
        Lacks("input_blocks.7.1.transformer_blocks.2.")
    ),
    relative!(
        "SDXL, pruned",
        "a pruned SDXL (such as KOALA)",
        BASE_SDXL,
        Of(Sdxl),
        Lacks("middle_block.1."),
        Has("input_blocks.4.")
    ),
    relative!("AltDiffusion", "AltDiffusion (SD1.x with another text encoder)", BASE, Has("cond_stage_model.roberta.")),
    relative!(
        "latent diffusion before Stable Diffusion",
        "a latent diffusion model from before Stable Diffusion",
        ONLY,
        Has("cond_stage_model.transformer.attn_layers.")
    ),
    relative!("GLIGEN", "a GLIGEN model", BASE, Has("position_net.")),
    // Other families, as their authors or diffusers name their tensors.
    family!("Hunyuan Video", Has("txt_in.individual_token_refiner.")),
    family!("Hunyuan 3D", Has("latent_in.")),
    family!("Chroma", Has("distilled_guidance_layer.")),
    family!("Flux 2", Has("double_stream_modulation_img.")),
    family!("Flux 2", Has("single_stream_modulation.")),
    family!("Flux", Has("double_blocks.0.")),
    family!("AuraFlow", Has("double_layers.0.")),
    family!("AuraFlow", Has("joint_transformer_blocks.")),
    family!("Flux", Has("single_transformer_blocks.0.")),
    family!("Stable Diffusion 3.5", Has("joint_blocks.37.")),
    family!("Stable Diffusion 3.5", Has("joint_blocks.0.x_block.attn2.")),
    family!("Stable Diffusion 3.5", Has("joint_blocks.0.x_block.attn.ln_q.")),
    family!("Stable Diffusion 3", Has("joint_blocks.0.")),
    family!("Qwen-Image", Has("txt_norm."), Has("transformer_blocks.0.")),
    family!("Qwen-Image", Has("transformer_blocks.0.img_mlp.")),
    family!("Stable Diffusion 3", Has("transformer_blocks.0.attn.add_k_proj.")),
    family!("Stable Cascade", Has("clip_txt_mapper.")),
    family!("Stable Cascade", Has("clip_mapper.")),
    family!("Stable Cascade", Has("effnet_mapper.")),
    family!("Würstchen", Has("cond_mapper.0.")),
    family!("Hunyuan-DiT", Has("mlp_t5.0.")),
    family!("Hunyuan-DiT", Has("time_extra_emb.")),
    family!("LTX-Video", Has("patchify_proj.")),
    family!("LTX-Video", Has("adaln_single."), Has("caption_projection."), Lacks("pos_embed.")),
    family!("PixArt", Has("t_block.1.")),
    family!("PixArt", Has("adaln_single.")),
    family!("Sana", Has("attention_y_norm.")),
    family!("Sana", Has("transformer_blocks.0.ff.conv_inverted.")),
    family!("HiDream", Has("caption_projection.0.")),
    family!("HiDream", Has("double_stream_blocks.")),
    family!("Z-Image", Axis("cap_embedder.1.weight", 0, 3840)),
    family!("Z-Image", Has("all_x_embedder.")),
    family!("Lumina", Has("cap_embedder.")),
    family!("Lumina", Has("time_caption_embed.caption_embedder."), Has("layers.0.")),
    family!("OmniGen 2", Has("time_caption_embed.timestep_embedder."), Has("ref_image_refiner.")),
    family!("Anima", Has("llm_adapter.")),
    family!("Cosmos", Has("blocks.block0.")),
    family!("Cosmos", Has("blocks.0.mlp.layer1.")),
    family!("Mochi", Has("t5_yproj.")),
    family!("Kandinsky 5", Has("visual_transformer_blocks.")),
    family!("Kandinsky 2", Has("add_embedding.image_norm.")),
    family!("Kandinsky 2", Has("encoder_hid_proj.image_embeds.")),
    family!("Kandinsky 3", Has("projection_linear."), Has("down_samples.")),
    family!("DeepFloyd IF", Has("encoder_pooling."), Has("encoder_proj.")),
    family!("DeepFloyd IF", Has("add_embedding.pool.")),
    family!("Wan", Has("head.modulation")),
    family!("Wan", Has("condition_embedder.time_embedder.")),
    family!("CogVideoX", Has("blocks.0.norm1.linear.")),
    family!("CogVideoX", Has("patch_embed.text_proj.")),
    family!("DiT", Has("blocks.0.adaLN_modulation."), Has("x_embedder.")),
    relative!(
        "weights with scales (fp8)",
        "a checkpoint whose weights are fp8 with scales beside them",
        "use its fp16 version",
        Has("scaled_fp8")
    ),
    // Autoencoders and text encoders that are of other models, or of none of the forms that are read.
    Relative {
        kind: Vae,
        name: "TAESD",
        is: "a TAESD (a small VAE for previews)",
        instead: "use a whole checkpoint, with its own VAE",
        marks: &[Has("decoder.layers.0."), Has("encoder.layers.0.")],
    },
    Relative {
        kind: Vae,
        name: "TAESD",
        is: "a TAESD (a small VAE for previews)",
        instead: "use a whole checkpoint, with its own VAE",
        marks: &[Has("3.conv.0.")],
    },
    Relative {
        kind: Vae,
        name: "Stable Diffusion 3 or Flux",
        is: "a VAE of SD3 or Flux (16 channels; Stable Diffusion's have 4)",
        instead: ONLY,
        marks: &[Axis("decoder.conv_in.weight", 1, 16)],
    },
    Relative {
        kind: Vae,
        name: "Flux 2",
        is: "a VAE of Flux 2 (32 channels; Stable Diffusion's have 4)",
        instead: ONLY,
        marks: &[Axis("decoder.conv_in.weight", 1, 32)],
    },
    Relative {
        kind: Vae,
        name: "Wan or Qwen-Image",
        is: "a VAE of Wan or Qwen-Image",
        instead: ONLY,
        marks: &[Has("decoder.middle.0.residual.")],
    },
    Relative {
        kind: TextEncoder,
        name: "T5",
        is: "a text encoder of SD3, Flux or another model (T5)",
        instead: ONLY,
        marks: &[Has("encoder.block.0.layer.0.SelfAttention.")],
    },
    Relative {
        kind: TextEncoder,
        name: "a language model",
        is: "a language model",
        instead: ONLY,
        marks: &[Has("layers.0.self_attn.q_proj."), Has("embed_tokens.")],
    },
    beside!(
        ImageAdapter,
        "CLIP vision",
        "an image encoder (CLIP vision)",
        Has("vision_model.encoder."),
        Lacks("input_blocks.")
    ),
    beside!(
        ImageAdapter,
        "CLIP vision",
        "an image encoder (CLIP vision)",
        Has("visual.transformer."),
        Lacks("transformer.resblocks."),
        Lacks("input_blocks.")
    ),
];

/// Parts of the names of pipelines in folders of diffusers, and the relative that such a folder holds.
pub(super) const PIPELINES: &[(&str, &str)] = &[
    ("StableUnCLIP", "Stable Diffusion 2.x, unCLIP"),
    ("StableDiffusionUpscale", "Stable Diffusion x4 upscaler"),
    ("StableVideoDiffusion", "Stable Video Diffusion"),
    ("Depth2Img", "Stable Diffusion 2.x, depth"),
    ("Kolors", "Kolors"),
    ("StableCascade", "Stable Cascade"),
    ("Wuerstchen", "Würstchen"),
    ("KandinskyV22", "Kandinsky 2"),
    ("Kandinsky3", "Kandinsky 3"),
    ("StableDiffusion3", "Stable Diffusion 3"),
    ("Flux", "Flux"),
    ("PixArt", "PixArt"),
    ("HunyuanDiT", "Hunyuan-DiT"),
    ("HunyuanVideo", "Hunyuan Video"),
    ("AuraFlow", "AuraFlow"),
    ("QwenImage", "Qwen-Image"),
    ("ZImage", "Z-Image"),
    ("Lumina", "Lumina"),
    ("Chroma", "Chroma"),
    ("Sana", "Sana"),
    ("Wan", "Wan"),
    ("LTX", "LTX-Video"),
    ("CogVideoX", "CogVideoX"),
    ("IFPipeline", "DeepFloyd IF"),
    ("AltDiffusion", "AltDiffusion"),
];
