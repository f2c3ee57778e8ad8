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

/// Settings under their own names, where 0 stands for off.
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

/// A kind of adapter.
struct Kind {
    /// `LoRA_type`
    name: &'static str,
    module: &'static str,
    /// Algorithm of LyCORIS.
    algo: &'static str,
    /// Settings that it takes.
    keys: &'static [&'static str],
}

const KINDS: [Kind; 15] = [
    Kind { name: "Standard", module: "networks.lora", algo: "", keys: &KOHYA_ARGS },
    Kind { name: "Kohya LoCon", module: "networks.lora", algo: "", keys: &["conv_dim", "conv_alpha"] },
    Kind { name: "LoRA-FA", module: "networks.lora_fa", algo: "", keys: &KOHYA_ARGS },
    Kind { name: "Kohya DyLoRA", module: "networks.dylora", algo: "", keys: &["conv_dim", "conv_alpha", "unit"] },
    Kind { name: "Kohya LoHa", module: "networks.loha", algo: "", keys: &["conv_dim", "conv_alpha", "use_tucker"] },
    Kind {
        name: "Kohya LoKr",
        module: "networks.lokr",
        algo: "",
        keys: &["conv_dim", "conv_alpha", "use_tucker", "factor"],
    },
    Kind {
        name: "LyCORIS/LoCon",
        module: "lycoris.kohya",
        algo: "locon",
        keys: &["bypass_mode", "dora_wd", "use_tucker", "use_scalar"],
    },
    Kind {
        name: "LyCORIS/LoHa",
        module: "lycoris.kohya",
        algo: "loha",
        keys: &["bypass_mode", "dora_wd", "use_tucker", "use_scalar"],
    },
    Kind {
        name: "LyCORIS/LoKr",
        module: "lycoris.kohya",
        algo: "lokr",
        keys: &["bypass_mode", "dora_wd", "factor", "use_cp", "use_tucker", "use_scalar", "decompose_both"],
    },
    Kind { name: "LyCORIS/iA3", module: "lycoris.kohya", algo: "ia3", keys: &["train_on_input"] },
    Kind { name: "LyCORIS/DyLoRA", module: "lycoris.kohya", algo: "dylora", keys: &["use_tucker", "unit"] },
    Kind { name: "LyCORIS/GLoRA", module: "lycoris.kohya", algo: "glora", keys: &["use_tucker"] },
    Kind { name: "LyCORIS/BOFT", module: "lycoris.kohya", algo: "boft", keys: &["use_tucker"] },
    Kind {
        name: "LyCORIS/Diag-OFT",
        module: "lycoris.kohya",
        algo: "diag-oft",
        keys: &["use_tucker", "constrain", "rescaled"],
    },
    Kind { name: "LyCORIS/Native Fine-Tuning", module: "lycoris.kohya", algo: "full", keys: &[] },
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
    for key in SAME {
        books.copy(key, key);
    }
    for key in UNLESS_ZERO {
        books.copy_unless_zero(key, key);
    }
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
    for (keys, why) in ASIDE {
        books.leave(keys, why);
    }
    extra_words(&mut books);
    books.close("a preset of the kohya GUI")
}

fn adapter(books: &mut Ledger) {
    let kind = books.text("LoRA_type").unwrap_or_else(|| "Standard".to_owned());
    let kind = if kind == "LoCon" { "LyCORIS/LoCon" } else { kind.as_str() };
    let Some(Kind { module, algo, keys, .. }) = KINDS.iter().find(|own| own.name == kind) else {
        books.refuse("LoRA_type", kind, "it is a kind of LoRA for another family of models");
        books.forget(&ADAPTER);
        return;
    };
    books.give("network_module", module);
    let mut args = Vec::new();
    let ours = *module != "lycoris.kohya";
    if !ours {
        let preset = books.text("LyCORIS_preset").unwrap_or_else(|| "full".to_owned());
        args.push(format!("algo={algo}"));
        args.push(format!("preset={preset}"));
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
        if let Some(ratio) = books.number(key).filter(|ratio| *ratio != 0.0) {
            args.push(format!("{key}={ratio}"));
        }
    }
    books.give_list("network_args", args);
    books.forget(&ADAPTER);
    books.forget(&KOHYA_ARGS);
}

/// A rate of 0 means that this part is not trained, as long as the other one is.
fn rates(books: &mut Ledger) {
    let text = books.number("text_encoder_lr");
    let unet = books.number("unet_lr");
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
    let steps = books.positive("lr_warmup_steps");
    let percent = books.positive("lr_warmup");
    if let Some(steps) = steps {
        books.give("lr_warmup_steps", steps);
    } else if let Some(percent) = percent {
        books.give("lr_warmup_steps", percent / 100.0);
    }
}

/// sd-scripts lets epochs win over steps; the GUI makes steps of `epoch` where neither is given.
fn duration(books: &mut Ledger) {
    let epoch = books.positive("epoch");
    let epochs = books.positive("max_train_epochs");
    let steps = books.positive("max_train_steps");
    if let Some(epochs) = epochs {
        books.give("max_train_epochs", epochs);
    } else if let Some(steps) = steps {
        books.give("max_train_steps", steps);
    } else if let Some(epoch) = epoch {
        books.give("max_train_epochs", epoch);
    }
}

/// The GUI uses one of two kinds of noise and ignores the settings of the other.
fn noise(books: &mut Ledger) {
    let offset = ["noise_offset", "adaptive_noise_scale"];
    let multires = ["multires_noise_iterations", "multires_noise_discount"];
    let is_multires = books.text("noise_offset_type").as_deref() == Some("Multires");
    let [main, modifier] = if is_multires { multires } else { offset };
    books.forget(if is_multires { &offset } else { &multires });
    match books.number(main).filter(|value| *value != 0.0) {
        Some(value) => {
            books.give(main, value);
            books.copy_unless_zero(modifier, modifier);
        }
        None => books.leave(&[modifier], &format!("it has no effect without {main}")),
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
    let read = argv::split(&words);
    for problem in read.problems {
        books.refuse("additional_parameters", &line, &problem.to_string());
    }
    for Given { name, values, .. } in read.options {
        let values = if values.is_empty() { vec!["true".to_owned()] } else { values };
        books.give_list(&name, values);
    }
}

/// Words between spaces, with quotation marks around those that hold some.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = None;
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
