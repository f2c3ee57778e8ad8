//! Presets and saved settings of the kohya GUI (bmaltais/kohya_ss), LoRA tab.
//!
//! Which setting becomes which option of sd-scripts, and which values stand for off, follows the GUI's own
//! `lora_gui.py` and `common_gui.py`. No line of them is here.

use std::ffi::OsString;

use serde_json::{Map, Value};

use super::imported::Imported;
use super::ledger::{self, Ledger};
use crate::parse::argv::{self, Given};

/// Settings with the name and the meaning of the option.
const SAME: [&str; 64] = [
    "pretrained_model_name_or_path",
    "v2",
    "sdxl",
    "v_parameterization",
    "vae",
    "train_data_dir",
    "reg_data_dir",
    "dataset_config",
    "output_dir",
    "output_name",
    "logging_dir",
    "caption_extension",
    "shuffle_caption",
    "weighted_captions",
    "enable_bucket",
    "min_bucket_reso",
    "max_bucket_reso",
    "bucket_no_upscale",
    "bucket_reso_steps",
    "cache_latents",
    "cache_latents_to_disk",
    "skip_cache_check",
    "flip_aug",
    "color_aug",
    "random_crop",
    "train_batch_size",
    "gradient_accumulation_steps",
    "gradient_checkpointing",
    "mem_eff_attn",
    "highvram",
    "max_data_loader_n_workers",
    "persistent_data_loader_workers",
    "mixed_precision",
    "full_fp16",
    "full_bf16",
    "fp8_base",
    "network_dim",
    "network_alpha",
    "dim_from_weights",
    "learning_rate",
    "lr_scheduler",
    "lr_scheduler_num_cycles",
    "lr_scheduler_power",
    "lr_scheduler_type",
    "max_grad_norm",
    "max_token_length",
    "prior_loss_weight",
    "loss_type",
    "huber_schedule",
    "huber_c",
    "huber_scale",
    "masked_loss",
    "debiased_estimation_loss",
    "scale_v_pred_loss_like_noise_pred",
    "noise_offset_random_strength",
    "ip_noise_gamma_random_strength",
    "save_precision",
    "save_model_as",
    "save_state",
    "save_state_on_train_end",
    "resume",
    "resume_from_huggingface",
    "training_comment",
    "async_upload",
];

/// The same, where 0 stands for off.
const UNLESS_ZERO: [&str; 25] = [
    "clip_skip",
    "seed",
    "keep_tokens",
    "caption_dropout_rate",
    "caption_dropout_every_n_epochs",
    "min_snr_gamma",
    "min_timestep",
    "max_timestep",
    "ip_noise_gamma",
    "v_pred_like_loss",
    "network_dropout",
    "scale_weight_norms",
    "vae_batch_size",
    "save_every_n_epochs",
    "save_every_n_steps",
    "save_last_n_epochs",
    "save_last_n_epochs_state",
    "save_last_n_steps",
    "save_last_n_steps_state",
    "sample_every_n_epochs",
    "sample_every_n_steps",
    "metadata_title",
    "metadata_author",
    "metadata_description",
    "metadata_tags",
];

/// Settings without counterpart, each group with the reason.
const ASIDE: [(&[&str], &str); 6] = [
    (
        &[
            "num_cpu_threads_per_process",
            "num_processes",
            "num_machines",
            "multi_gpu",
            "gpu_ids",
            "main_process_port",
            "dynamo_backend",
            "dynamo_mode",
            "dynamo_use_fullgraph",
            "dynamo_use_dynamic",
            "extra_accelerate_launch_args",
        ],
        "it belongs to the launcher, and lorabake needs none; --threads sets its processor threads",
    ),
    (&["model_list", "save_as_bool", "print_only"], "it concerns the GUI itself"),
    (&["lowvram"], "here there is only one memory"),
    (
        &["log_with", "use_wandb", "wandb_api_key", "wandb_run_name"],
        "charts are written for TensorBoard, into the folder that logging_dir names",
    ),
    (
        &["stop_text_encoder_training", "stop_text_encoder_training_pct"],
        "sd-scripts' LoRA training ignores it too; a lower text_encoder_lr protects the text encoder",
    ),
    (&["sample_prompts", "sample_sampler"], "write the prompts into a file and name it with --sample_prompts"),
];

/// What the GUI puts into `--network_args` for LoRAs of its own trainer.
const KOHYA_ARGS: [&str; 10] = [
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
    "rank_dropout",
    "module_dropout",
];

/// The kinds of adapter: `LoRA_type`, network module, algorithm of LyCORIS, settings that it takes.
const KINDS: [(&str, &str, &str, &[&str]); 15] = [
    ("Standard", "networks.lora", "", &KOHYA_ARGS),
    ("Kohya LoCon", "networks.lora", "", &["conv_dim", "conv_alpha"]),
    ("LoRA-FA", "networks.lora_fa", "", &KOHYA_ARGS),
    ("Kohya DyLoRA", "networks.dylora", "", &["conv_dim", "conv_alpha", "unit"]),
    ("Kohya LoHa", "networks.loha", "", &["conv_dim", "conv_alpha", "use_tucker"]),
    ("Kohya LoKr", "networks.lokr", "", &["conv_dim", "conv_alpha", "use_tucker", "factor"]),
    ("LyCORIS/LoCon", "lycoris.kohya", "locon", &["bypass_mode", "dora_wd", "use_tucker", "use_scalar"]),
    ("LyCORIS/LoHa", "lycoris.kohya", "loha", &["bypass_mode", "dora_wd", "use_tucker", "use_scalar"]),
    (
        "LyCORIS/LoKr",
        "lycoris.kohya",
        "lokr",
        &["bypass_mode", "dora_wd", "factor", "use_cp", "use_tucker", "use_scalar", "decompose_both"],
    ),
    ("LyCORIS/iA3", "lycoris.kohya", "ia3", &["train_on_input"]),
    ("LyCORIS/DyLoRA", "lycoris.kohya", "dylora", &["use_tucker", "unit"]),
    ("LyCORIS/GLoRA", "lycoris.kohya", "glora", &["use_tucker"]),
    ("LyCORIS/BOFT", "lycoris.kohya", "boft", &["use_tucker"]),
    ("LyCORIS/Diag-OFT", "lycoris.kohya", "diag-oft", &["use_tucker", "constrain", "rescaled"]),
    ("LyCORIS/Native Fine-Tuning", "lycoris.kohya", "full", &[]),
];

/// Settings of adapters in general: the GUI passes over those that its kind does not take.
const ADAPTER: [&str; 23] = [
    "conv_dim",
    "conv_alpha",
    "conv_dims",
    "conv_alphas",
    "unit",
    "factor",
    "use_cp",
    "use_tucker",
    "use_scalar",
    "decompose_both",
    "train_on_input",
    "train_norm",
    "rank_dropout",
    "module_dropout",
    "rank_dropout_scale",
    "bypass_mode",
    "dora_wd",
    "constrain",
    "rescaled",
    "LyCORIS_preset",
    "no_token_padding",
    "down_lr_weight",
    "block_lr_zero_threshold",
];

/// Maps the settings.
pub(super) fn read(settings: Map<String, Value>) -> Imported {
    let mut books = Ledger::new(settings);
    SAME.iter().for_each(|key| books.copy(key, key));
    UNLESS_ZERO.iter().for_each(|key| books.copy_unless_zero(key, key));
    books.copy("max_resolution", "resolution");
    books.copy("sdxl_cache_text_encoder_outputs", "cache_text_encoder_outputs");
    books.copy("sdxl_no_half_vae", "no_half_vae");
    books.copy("lora_network_weights", "network_weights");
    books.copy("network_weights", "network_weights");
    books.copy_unless_zero("metadata_license", "metadata_license");
    adapter(&mut books);
    rates(&mut books);
    duration(&mut books);
    noise(&mut books);
    attention(&mut books);
    ASIDE.iter().for_each(|(keys, why)| books.leave(keys, why));
    extra_words(&mut books);
    books.close("a preset of the kohya GUI")
}

fn adapter(books: &mut Ledger) {
    let kind = books.text("LoRA_type").unwrap_or_else(|| "Standard".to_owned());
    let kind = if kind == "LoCon" { "LyCORIS/LoCon" } else { kind.as_str() };
    let Some((_, module, algo, keys)) = KINDS.iter().find(|(name, ..)| *name == kind) else {
        books.refuse("LoRA_type", kind, "it is a kind of LoRA for another family of models");
        books.forget(&ADAPTER);
        return;
    };
    books.give("network_module", module);
    let mut args = Vec::new();
    let ours = *module != "lycoris.kohya";
    if !ours {
        args.extend([
            format!("algo={algo}"),
            books.text("LyCORIS_preset").map_or("preset=full".into(), |p| format!("preset={p}")),
        ]);
    }
    let shared: &[&str] = match (ours, *algo) {
        (true, _) if keys.contains(&"down_lr_weight") => &[],
        (true, _) => &KOHYA_ARGS,
        (false, "full") => &["rank_dropout", "module_dropout", "rank_dropout_scale", "train_norm"],
        (false, "ia3") => &["conv_dim", "conv_alpha"],
        (false, _) => &["conv_dim", "conv_alpha", "rank_dropout", "module_dropout", "rank_dropout_scale", "train_norm"],
    };
    for key in keys.iter().chain(shared) {
        let Some(value) = books.take(key).filter(|value| !ledger::is_off(value)) else { continue };
        let name = match (*key, *algo) {
            ("unit", "dylora") => "block_size",
            ("constrain", _) => "constraint",
            (key, _) => key,
        };
        let value = if value == Value::Bool(true) { "True".to_owned() } else { ledger::text(&value) };
        args.push(format!("{name}={value}"));
    }
    for key in ["loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"] {
        args.extend(books.number(key).filter(|ratio| *ratio != 0.0).map(|ratio| format!("{key}={ratio}")));
    }
    books.give_list("network_args", args);
    books.forget(&ADAPTER);
    books.forget(&KOHYA_ARGS);
}

/// A rate of 0 means that this part is not trained, as long as the other one is.
fn rates(books: &mut Ledger) {
    let (text, unet) = (books.number("text_encoder_lr"), books.number("unet_lr"));
    if let Some(rate) = text.filter(|rate| *rate > 0.0) {
        books.give("text_encoder_lr", rate);
    }
    if let Some(rate) = unet.filter(|rate| *rate > 0.0) {
        books.give("unet_lr", rate);
    }
    match (text, unet) {
        (Some(0.0), Some(unet)) if unet > 0.0 => books.give("network_train_unet_only", true),
        (Some(text), Some(0.0)) if text > 0.0 => books.give("network_train_text_encoder_only", true),
        _ => {}
    }
    if let Some(name) = books.text("optimizer") {
        books.give("optimizer_type", name);
    }
    for key in ["optimizer_args", "lr_scheduler_args"] {
        let words = books.text(key).unwrap_or_default().replace('"', "");
        books.give_list(key, words.split_whitespace().map(str::to_owned).collect());
    }
    let (steps, percent) = (books.number("lr_warmup_steps"), books.number("lr_warmup"));
    match (steps.filter(|steps| *steps > 0.0), percent.filter(|percent| *percent > 0.0)) {
        (Some(steps), _) => books.give("lr_warmup_steps", steps),
        (None, Some(percent)) => books.give("lr_warmup_steps", percent / 100.0),
        (None, None) => {}
    }
}

/// sd-scripts lets epochs win over steps; the GUI makes steps of `epoch` where neither is given.
fn duration(books: &mut Ledger) {
    let (epoch, epochs) = (books.number("epoch"), books.number("max_train_epochs"));
    let steps = books.number("max_train_steps");
    let positive = |number: Option<f64>| number.filter(|number| *number > 0.0);
    if let Some(epochs) = positive(epochs) {
        books.give("max_train_epochs", epochs);
    } else if let Some(steps) = positive(steps) {
        books.give("max_train_steps", steps);
    } else if let Some(epoch) = positive(epoch) {
        books.give("max_train_epochs", epoch);
    }
}

/// The GUI uses one of two kinds of noise and ignores the settings of the other.
fn noise(books: &mut Ledger) {
    let [offset, multires] =
        [["noise_offset", "adaptive_noise_scale"], ["multires_noise_iterations", "multires_noise_discount"]];
    let (used, other) = match books.text("noise_offset_type").as_deref() {
        Some("Multires") => (multires, offset),
        _ => (offset, multires),
    };
    books.forget(&other);
    let main = books.number(used[0]).filter(|value| *value != 0.0);
    match main {
        Some(value) => {
            books.give(used[0], value);
            books.copy_unless_zero(used[1], used[1]);
        }
        None => books.leave(&used[1..], &format!("it has no effect without {}", used[0])),
    }
}

fn attention(books: &mut Ledger) {
    match books.text("xformers").as_deref() {
        Some("true" | "xformers") => books.give("xformers", true),
        Some("sdpa") => books.give("sdpa", true),
        _ => {}
    }
}

/// `additional_parameters` is a piece of a command line; it wins over the settings.
fn extra_words(books: &mut Ledger) {
    let Some(line) = books.text("additional_parameters") else { return };
    let words: Vec<OsString> = split(&line).into_iter().map(OsString::from).collect();
    let (options, problems) = argv::split(&words);
    for problem in problems {
        books.refuse("additional_parameters", &line, &problem.to_string());
    }
    for Given { name, values, .. } in options {
        let values = if values.is_empty() { vec!["true".to_owned()] } else { values };
        books.give_list(&name, values);
    }
}

/// Words between spaces, with quotation marks around those that hold some.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match quoted {
            Some(mark) if c == mark => quoted = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => quoted = Some(c),
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            None => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}
