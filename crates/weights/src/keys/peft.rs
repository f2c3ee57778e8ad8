//! Names of LoRA tensors as diffusers and PEFT write them → kohya's.
//!
//! Sources: diffusers' `utils/state_dict_utils.py`, which lists its older forms, and PEFT's `save_and_load.py`.

/// Ends of names, and kohya's name for such a tensor; the longer of two that fit comes first.
const ENDS: [(&str, &str); 12] = [
    (".lora_linear_layer.down.weight", "lora_down.weight"),
    (".lora_linear_layer.up.weight", "lora_up.weight"),
    (".lora_magnitude_vector.weight", "dora_scale"),
    (".lora_magnitude_vector", "dora_scale"),
    (".lora_A.default.weight", "lora_down.weight"),
    (".lora_B.default.weight", "lora_up.weight"),
    (".lora_A.weight", "lora_down.weight"),
    (".lora_B.weight", "lora_up.weight"),
    (".lora.down.weight", "lora_down.weight"),
    (".lora.up.weight", "lora_up.weight"),
    ("_lora.down.weight", "lora_down.weight"),
    ("_lora.up.weight", "lora_up.weight"),
];

/// kohya's and LyCORIS' own names of tensors, which may stand behind a path with dots, as in ComfyUI's form.
const OWN: [&str; 28] = [
    "lora_down.weight",
    "lora_up.weight",
    "lora_mid.weight",
    "alpha",
    "dora_scale",
    "hada_w1_a",
    "hada_w1_b",
    "hada_w2_a",
    "hada_w2_b",
    "hada_t1",
    "hada_t2",
    "lokr_w1",
    "lokr_w1_a",
    "lokr_w1_b",
    "lokr_w2",
    "lokr_w2_a",
    "lokr_w2_b",
    "lokr_t2",
    "a1.weight",
    "a2.weight",
    "b1.weight",
    "b2.weight",
    "oft_blocks",
    "rescale",
    "diff",
    "diff_b",
    "w_norm",
    "b_norm",
];

/// What stands before the path of a layer, and kohya's word for it.
const STARTS: [(&str, &str); 3] =
    [("unet.", "lora_unet"), ("text_encoder_2.", "lora_te2"), ("text_encoder.", "lora_te")];

/// ComfyUI's own form: what stands before the path of a layer, our word for it, and what the path begins with.
const COMFYUI: [(&str, &str, &[&str]); 4] = [
    (
        "diffusion_model.",
        "diffusion_model",
        &["input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out."],
    ),
    ("text_encoders.clip_l.transformer.", "lora_te", &["text_model."]),
    ("text_encoders.clip_h.transformer.", "lora_te", &["text_model."]),
    ("text_encoders.clip_g.transformer.", "lora_te2", &["text_model."]),
];

/// What the layers of a UNet's path begin with, in files that hold nothing else.
const UNET: [&str; 7] =
    ["down_blocks.", "mid_block.", "up_blocks.", "conv_in", "conv_out", "time_embedding.", "add_embedding."];

/// What attention's layers were called in text encoders before diffusers 0.18.
const OLD_TEXT: [(&str, &str); 4] =
    [("to_q", "q_proj"), ("to_k", "k_proj"), ("to_v", "v_proj"), ("to_out", "out_proj")];

/// A tensor's name in a file of diffusers or PEFT, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeftName {
    /// What diffusers' settings call the network: `unet`, `text_encoder`, `text_encoder_2`; nothing in ComfyUI's form.
    pub network: &'static str,
    /// The layer's path in it.
    pub path: String,
    /// kohya's name of the module, as for SD1.x.
    pub module: String,
    /// kohya's name of the tensor, such as `lora_down.weight`.
    pub tensor: &'static str,
}

/// Reads a name; `None` if it is none of these.
pub fn parse(key: &str) -> Option<PeftName> {
    let key = key.strip_prefix("base_model.model.").unwrap_or(key);
    let of_others = || ENDS.iter().find_map(|(end, tensor)| Some((key.strip_suffix(end)?, *tensor)));
    let own = OWN.iter().find_map(|tensor| Some((key.strip_suffix(tensor)?.strip_suffix('.')?, *tensor)));
    let (path, tensor) = own.or_else(of_others)?;
    let named =
        STARTS.iter().find_map(|(start, word)| Some((path.strip_prefix(start)?, start.trim_end_matches('.'), *word)));
    let of_comfyui = || {
        COMFYUI.iter().find_map(|(start, word, paths)| {
            let rest = path.strip_prefix(start)?;
            let known = paths.iter().any(|path| rest.starts_with(path));
            if known { Some((rest, "", *word)) } else { None }
        })
    };
    let (path, network, word) = named.or_else(of_comfyui).or_else(|| match path {
        _ if UNET.iter().any(|start| path.starts_with(start)) => Some((path, "unet", "lora_unet")),
        _ if path.starts_with("text_model.") => Some((path, "text_encoder", "lora_te")),
        _ => None,
    })?;
    let mut path = path.replace(".processor.", ".");
    if network == "unet" {
        if path.ends_with(".to_out") {
            path += ".0";
        }
    } else if word.starts_with("lora_te")
        && let Some((old, new)) = OLD_TEXT.iter().find(|(old, _)| path.ends_with(&format!(".{old}")))
    {
        path = format!("{}{new}", path.strip_suffix(old)?);
    }
    Some(PeftName { network, module: format!("{word}_{}", path.replace('.', "_")), path, tensor })
}
