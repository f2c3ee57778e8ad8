//! Settings of a folder of diffusers, from the sizes of its tensors and the family; what the sizes do not tell is that of the
//! released models.

use std::collections::BTreeMap;

use lorabake_recipe::model::Family;
use lorabake_weights::Part;
use lorabake_weights::checkpoint::Prediction;
use serde_json::{Value, json};

/// The version of diffusers whose settings these are.
const VERSION: &str = "0.32.1";

/// CLIP's vocabulary as transformers' files have it.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'f> {
    /// All tokens in the order of their ids.
    pub tokens: &'f [String],
    /// The text of `merges.txt`.
    pub merges: &'f str,
}

impl Vocabulary<'_> {
    /// The text of `vocab.json`: each token with its id.
    pub fn file(&self) -> String {
        let mut text = String::from("{");
        for (id, token) in self.tokens.iter().enumerate() {
            let comma = if id > 0 { ", " } else { "" };
            text.push_str(&format!("{comma}{}: {id}", Value::from(token.as_str())));
        }
        text.push('}');
        text
    }
}

/// Shapes of a network's tensors by diffusers' names.
#[derive(Debug, Clone, Default)]
pub struct Shapes(pub BTreeMap<String, Vec<usize>>);

impl Shapes {
    /// The length of an axis of a tensor; 0 if there is none.
    fn axis(&self, name: &str, axis: usize) -> usize {
        self.0.get(name).and_then(|shape| shape.get(axis)).copied().unwrap_or(0)
    }

    fn has(&self, start: &str) -> bool {
        self.0.range(start.to_string()..).next().is_some_and(|(name, _)| name.starts_with(start))
    }

    /// How many numbered blocks follow this beginning.
    fn count(&self, start: &str) -> usize {
        (0..).take_while(|place| self.has(&format!("{start}{place}."))).count()
    }
}

/// The folder of a part.
pub fn folder_of(part: Part) -> &'static str {
    match part {
        Part::Unet => "unet",
        Part::Vae => "vae",
        Part::TextEncoder => "text_encoder",
        Part::TextEncoder2 => "text_encoder_2",
    }
}

/// `config.json` of a network.
pub fn of_network(part: Part, family: Family, shapes: &Shapes) -> Value {
    match part {
        Part::Unet => unet(family, shapes),
        Part::Vae => vae(family, shapes),
        Part::TextEncoder | Part::TextEncoder2 => text(part, family, shapes),
    }
}

fn unet(family: Family, shapes: &Shapes) -> Value {
    let levels = shapes.count("down_blocks.");
    let mut channels = Vec::new();
    let mut down = Vec::new();
    let mut up = Vec::new();
    let mut depths = Vec::new();
    let mut context = 0;
    for level in 0..levels {
        channels.push(shapes.axis(&format!("down_blocks.{level}.resnets.0.conv1.weight"), 0));
        let attentions = format!("down_blocks.{level}.attentions.0.transformer_blocks.");
        let has_attention = shapes.has(&attentions);
        down.push(if has_attention { "CrossAttnDownBlock2D" } else { "DownBlock2D" });
        let blocks = shapes.count(&attentions);
        depths.push(blocks.max(1));
        context = context.max(shapes.axis(&format!("{attentions}0.attn2.to_k.weight"), 1));
        let has_attention = shapes.has(&format!("up_blocks.{level}.attentions."));
        up.push(if has_attention { "CrossAttnUpBlock2D" } else { "UpBlock2D" });
    }
    // The number of heads, which diffusers calls so: 8 everywhere, or one for 64 channels.
    let heads: Value = match family {
        Family::Sd1 => json!(8),
        Family::Sd2 | Family::Sdxl => channels.iter().map(|channels| (channels / 64).max(1)).collect(),
    };
    let is_linear = shapes.0.iter().any(|(name, shape)| name.ends_with(".proj_in.weight") && shape.len() == 2);
    let mut settings = json!({
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": VERSION,
        "act_fn": "silu",
        "attention_head_dim": heads,
        "block_out_channels": channels,
        "center_input_sample": false,
        "cross_attention_dim": context,
        "down_block_types": down,
        "downsample_padding": 1,
        "flip_sin_to_cos": true,
        "freq_shift": 0,
        "in_channels": shapes.axis("conv_in.weight", 1),
        "layers_per_block": shapes.count("down_blocks.0.resnets."),
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "out_channels": shapes.axis("conv_out.weight", 0),
        "sample_size": size(family) / 8,
        "up_block_types": up,
        "use_linear_projection": is_linear,
        "upcast_attention": family == Family::Sd2,
    });
    if depths.iter().any(|depth| *depth > 1) {
        settings["transformer_layers_per_block"] = depths.into();
    }
    let added = shapes.axis("add_embedding.linear_1.weight", 1);
    if added > 0 {
        settings["addition_embed_type"] = "text_time".into();
        settings["addition_time_embed_dim"] = 256.into();
        settings["projection_class_embeddings_input_dim"] = added.into();
    }
    settings
}

fn vae(family: Family, shapes: &Shapes) -> Value {
    let levels = shapes.count("encoder.down_blocks.");
    let mut channels = Vec::new();
    for level in 0..levels {
        channels.push(shapes.axis(&format!("encoder.down_blocks.{level}.resnets.0.conv1.weight"), 0));
    }
    json!({
        "_class_name": "AutoencoderKL",
        "_diffusers_version": VERSION,
        "act_fn": "silu",
        "block_out_channels": channels,
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "force_upcast": family == Family::Sdxl,
        "in_channels": shapes.axis("encoder.conv_in.weight", 1),
        "latent_channels": shapes.axis("decoder.conv_in.weight", 1),
        "layers_per_block": shapes.count("encoder.down_blocks.0.resnets."),
        "norm_num_groups": 32,
        "out_channels": shapes.axis("decoder.conv_out.weight", 0),
        "sample_size": size(family),
        "scaling_factor": if family == Family::Sdxl { 0.13025 } else { 0.18215 },
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
    })
}

fn text(part: Part, family: Family, shapes: &Shapes) -> Value {
    let embedding = "text_model.embeddings.token_embedding.weight";
    let width = shapes.axis(embedding, 1);
    let is_open_clip = part == Part::TextEncoder2 || family == Family::Sd2;
    let projected = shapes.axis("text_projection.weight", 0);
    let projection = match (projected, family) {
        (0, Family::Sd2) => width / 2,
        (0, _) => width,
        (projected, _) => projected,
    };
    json!({
        "architectures": [if projected > 0 { "CLIPTextModelWithProjection" } else { "CLIPTextModel" }],
        "attention_dropout": 0.0,
        "bos_token_id": 0,
        "dropout": 0.0,
        "eos_token_id": 2,
        "hidden_act": if is_open_clip { "gelu" } else { "quick_gelu" },
        "hidden_size": width,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": shapes.axis("text_model.encoder.layers.0.mlp.fc1.weight", 0),
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": shapes.axis("text_model.embeddings.position_embedding.weight", 0),
        "model_type": "clip_text_model",
        "num_attention_heads": (width / 64).max(1),
        "num_hidden_layers": shapes.count("text_model.encoder.layers."),
        "pad_token_id": 1,
        "projection_dim": projection,
        "vocab_size": shapes.axis(embedding, 0),
    })
}

/// The side of pictures that a family was trained on.
fn size(family: Family) -> usize {
    match family {
        Family::Sd1 => 512,
        Family::Sd2 => 768,
        Family::Sdxl => 1024,
    }
}

/// `scheduler_config.json`: the released models' schedulers; DDIM where the UNet predicts v, as in SD2.x.
pub fn scheduler(family: Family, prediction: Option<Prediction>) -> Value {
    let mut settings = json!({
        "_diffusers_version": VERSION,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "set_alpha_to_one": false,
        "steps_offset": 1,
        "trained_betas": null,
    });
    let class = match (prediction, family) {
        (Some(Prediction::V { zero_terminal_snr }), _) => {
            settings["prediction_type"] = "v_prediction".into();
            settings["rescale_betas_zero_snr"] = zero_terminal_snr.into();
            settings["timestep_spacing"] = if zero_terminal_snr { "trailing" } else { "leading" }.into();
            "DDIMScheduler"
        }
        (_, Family::Sdxl) => {
            settings["interpolation_type"] = "linear".into();
            settings["timestep_spacing"] = "leading".into();
            settings["use_karras_sigmas"] = false.into();
            "EulerDiscreteScheduler"
        }
        _ => {
            settings["skip_prk_steps"] = true.into();
            "PNDMScheduler"
        }
    };
    settings["_class_name"] = class.into();
    settings
}

/// `model_index.json`.
pub fn index(family: Family, unet: &Shapes, scheduler: &Value) -> Value {
    let inpaints = unet.axis("conv_in.weight", 1) == 9;
    let class = match (family, inpaints) {
        (Family::Sdxl, false) => "StableDiffusionXLPipeline",
        (Family::Sdxl, true) => "StableDiffusionXLInpaintPipeline",
        (_, false) => "StableDiffusionPipeline",
        (_, true) => "StableDiffusionInpaintPipeline",
    };
    let mut index = json!({
        "_class_name": class,
        "_diffusers_version": VERSION,
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    });
    if family == Family::Sdxl {
        index["force_zeros_for_empty_prompt"] = true.into();
        index["text_encoder_2"] = json!(["transformers", "CLIPTextModelWithProjection"]);
        index["tokenizer_2"] = json!(["transformers", "CLIPTokenizer"]);
    } else {
        index["feature_extractor"] = json!([null, null]);
        index["requires_safety_checker"] = false.into();
        index["safety_checker"] = json!([null, null]);
    }
    index
}

/// `tokenizer_config.json`; OpenCLIP's chunks are filled up with the token of id 0, `!`.
pub fn tokenizer(pads_with_mark: bool) -> Value {
    let mut settings = special_tokens(pads_with_mark);
    settings["add_prefix_space"] = false.into();
    settings["clean_up_tokenization_spaces"] = true.into();
    settings["do_lower_case"] = true.into();
    settings["errors"] = "replace".into();
    settings["model_max_length"] = 77.into();
    settings["tokenizer_class"] = "CLIPTokenizer".into();
    settings
}

/// `special_tokens_map.json`.
pub fn special_tokens(pads_with_mark: bool) -> Value {
    json!({
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": if pads_with_mark { "!" } else { "<|endoftext|>" },
        "unk_token": "<|endoftext|>",
    })
}
