//! Options of other programs and other scripts, and what is written here instead.
//!
//! Names are those of diffusers' examples, OneTrainer, SD-Trainer (lora-scripts), the kohya GUI, and of scripts of
//! sd-scripts that train something else than a LoRA of Stable Diffusion.
// tidy: table

use super::argv::Given;
use crate::network::adapter_args;
use crate::optim::optimizer::Optimizer;

/// Names under which another program keeps an option: they are taken for it.
const TAKEN: [(&str, &str); 1] = [("lr_restart_cycles", "lr_scheduler_num_cycles")];

/// Names of other programs, guides and the first guess, by the option that is meant.
const MEANT: [(&str, &[&str]); 47] = [
    ("network_dim", &["rank", "dim", "network_rank", "lora_rank", "lora_dim", "lora_r"]),
    ("network_alpha", &["alpha", "lora_alpha"]),
    ("network_dropout", &["dropout", "lora_dropout", "dropout_probability"]),
    ("network_weights", &["lora_weights", "lora_model_name", "pretrained_lora", "lora_network_weights", "lora_path"]),
    ("network_train_unet_only", &["train_unet_only", "unet_only"]),
    ("network_train_text_encoder_only", &["train_text_encoder_only", "text_encoder_only"]),
    ("learning_rate", &["lr", "base_lr"]),
    ("unet_lr", &["learning_rate_unet", "unet_learning_rate", "lr_unet", "train_unet_lr"]),
    (
        "text_encoder_lr",
        &[
            "te_lr",
            "learning_rate_te",
            "te_learning_rate",
            "text_encoder_learning_rate",
            "lr_te",
            "lr_text_encoder",
            "clip_lr",
        ],
    ),
    ("max_train_epochs", &["epochs", "num_epochs", "num_train_epochs", "max_epochs", "n_epochs", "train_epochs"]),
    ("max_train_steps", &["steps", "max_steps", "num_steps", "train_steps", "total_steps", "num_train_steps"]),
    ("train_batch_size", &["batch_size", "batch"]),
    ("gradient_accumulation_steps", &["gradient_accumulation", "accumulation_steps", "grad_accumulation"]),
    ("gradient_checkpointing", &["grad_checkpointing", "checkpointing"]),
    ("optimizer_type", &["optimizer", "optim", "optimizer_name"]),
    ("optimizer_args", &["optimizer_args_custom", "optimizer_kwargs", "optim_args"]),
    ("network_args", &["network_args_custom", "network_kwargs", "lora_args"]),
    ("lr_scheduler", &["scheduler", "learning_rate_scheduler", "lr_schedule"]),
    (
        "lr_warmup_steps",
        &["warmup", "lr_warmup", "warmup_steps", "num_warmup_steps", "learning_rate_warmup_steps", "warmup_ratio"],
    ),
    ("lr_scheduler_num_cycles", &["lr_num_cycles", "num_cycles", "lr_cycles", "learning_rate_cycles"]),
    ("lr_scheduler_power", &["lr_power"]),
    ("max_grad_norm", &["clip_grad_norm", "grad_clip", "gradient_clipping", "gradient_clip_val"]),
    ("ema_decay", &["ema", "use_ema"]),
    ("min_snr_gamma", &["snr_gamma", "min_snr"]),
    ("noise_offset", &["offset_noise", "offset_noise_weight"]),
    ("v_parameterization", &["v_prediction", "v_pred", "prediction_type", "force_v_prediction"]),
    ("zero_terminal_snr", &["ztsnr", "zero_snr", "rescale_betas_zero_snr"]),
    ("masked_loss", &["masked_training", "mask_loss"]),
    ("prior_loss_weight", &["prior_preservation_weight"]),
    (
        "pretrained_model_name_or_path",
        &[
            "model",
            "checkpoint",
            "ckpt",
            "base_model",
            "base_model_name",
            "model_path",
            "checkpoint_path",
            "pretrained_model",
            "pretrained_model_path",
        ],
    ),
    ("vae", &["vae_path", "vae_model", "pretrained_vae_model_name_or_path"]),
    (
        "train_data_dir",
        &[
            "instance_data_dir",
            "data_dir",
            "train_dir",
            "dataset_dir",
            "dataset",
            "dataset_path",
            "images",
            "input_dir",
            "train_data",
        ],
    ),
    ("reg_data_dir", &["class_data_dir", "reg_dir", "regularization_dir"]),
    ("resolution", &["max_resolution", "image_size", "size", "train_resolution"]),
    ("enable_bucket", &["bucket", "use_bucket", "enable_buckets", "aspect_ratio_bucketing"]),
    ("cache_latents", &["latent_caching", "cache_latent"]),
    ("flip_aug", &["random_flip", "flip", "enable_random_flip"]),
    ("random_crop", &["crop_aug"]),
    ("shuffle_caption", &["shuffle_tags", "enable_tag_shuffling"]),
    ("keep_tokens", &["keep_tags", "keep_tags_count"]),
    ("caption_extension", &["caption_ext", "caption_suffix_ext"]),
    (
        "output_dir",
        &["output", "out", "out_dir", "output_folder", "output_path", "save_dir", "output_model_destination"],
    ),
    ("output_name", &["name", "lora_name", "save_name"]),
    ("save_every_n_steps", &["checkpointing_steps", "save_steps", "save_every"]),
    ("resume", &["resume_from", "resume_from_checkpoint", "resume_path", "resume_from_state"]),
    ("sample_prompts", &["validation_prompt", "validation_prompts", "prompt_file", "positive_prompts", "prompts"]),
    ("config_file", &["config", "config_path", "recipe"]),
];

/// More names, each group with what to do.
const ADVICE: [(&[&str], &str); 16] = [
    (
        &["train_text_encoder", "train_unet"],
        "leave it out: both are trained, unless --network_train_unet_only or --network_train_text_encoder_only is given, \
         with the rates --unet_lr and --text_encoder_lr",
    ),
    (
        &["learning_rate_te1", "learning_rate_te2", "text_encoder_lr1", "text_encoder_lr2", "te1_lr", "te2_lr"],
        "use --text_encoder_lr, with two values for the two text encoders of SDXL",
    ),
    (
        &["stop_text_encoder_training", "stop_text_encoder_training_pct"],
        "leave it out: sd-scripts' LoRA training ignores it too; a lower --text_encoder_lr protects the text encoder",
    ),
    (&["8bit_adam", "adam8bit", "use_8bit"], "use --optimizer_type=AdamW8bit"),
    (&["fp16", "half"], "use --mixed_precision=fp16, and --save_precision=fp16 for the file"),
    (&["bf16"], "use --mixed_precision=bf16, and --save_precision=bf16 for the file"),
    (&["precision", "dtype", "train_dtype"], "use --mixed_precision"),
    (&["output_dtype", "save_dtype"], "use --save_precision"),
    (
        &["instance_prompt", "class_prompt", "caption", "caption_column", "trigger"],
        "write captions into text files beside the images, or name the folder REPEATS_NAME, whose name is the caption of \
         images without one",
    ),
    (
        &["with_prior_preservation", "num_class_images"],
        "give regularization images with --reg_data_dir, or use --prior_prediction",
    ),
    (
        &["num_repeats", "repeats", "image_dir", "class_tokens", "is_reg", "subsets", "datasets", "general"],
        "name the folder of images REPEATS_NAME, as in 10_penny, or write it into a file for --dataset_config",
    ),
    (
        &[
            "enable_preview",
            "negative_prompts",
            "sample_width",
            "sample_height",
            "sample_cfg",
            "sample_seed",
            "sample_steps",
            "randomly_choice_prompt",
            "random_prompt_include_subdir",
            "num_validation_images",
            "validation_epochs",
            "sample_every",
        ],
        "write prompts into a file for --sample_prompts, one a line, with --n, --w, --h, --l, --d and --s behind it",
    ),
    (
        &["lora_type", "lycoris_algo", "peft_type", "network_algo"],
        "use --network_module, and for those of LyCORIS lycoris.kohya with algo=NAME in --network_args",
    ),
    (
        &["prompt", "negative_prompt", "cfg_scale", "lora_dir", "width", "height", "from_file", "sampler"],
        "leave it out: it belongs to `lorabake generate`",
    ),
    (
        &[
            "ae",
            "clip_l",
            "clip_g",
            "t5xxl",
            "t5xxl_max_token_length",
            "guidance_scale",
            "timestep_sampling",
            "sigmoid_scale",
            "discrete_flow_shift",
            "model_prediction_type",
            "apply_t5_attn_mask",
            "training_shift",
            "split_mode",
            "train_blocks",
            "blockwise_fused_optimizers",
            "single_blocks_to_swap",
            "double_blocks_to_swap",
            "gemma2",
            "controlnet_model_name_or_path",
            "no_token_padding",
            "token_string",
            "init_word",
            "num_vectors_per_token",
            "block_lr",
            "timestep_shift",
            "fp8_scaled",
        ],
        "leave it out: it belongs to other models than Stable Diffusion, or to other training than that of LoRAs",
    ),
    (
        &[
            "model_train_type",
            "ui_custom_params",
            "enable_block_weights",
            "enable_base_weight",
            "enable_debug_options",
            "enable_xformers_memory_efficient_attention",
            "use_xformers",
            "flash_attention",
            "diffusers_xformers",
            "allow_tf32",
            "report_to",
            "push_to_hub",
            "hub_model_id",
            "hub_token",
            "local_rank",
            "dataloader_num_workers",
            "dataloader_threads",
            "scale_lr",
            "center_crop",
            "revision",
            "variant",
            "use_wandb",
            "num_gpus",
            "save_as_bool",
            "model_list",
            "print_only",
        ],
        "leave it out",
    ),
];

/// Settings of the optimizer or the adapter under the names of other programs, with those here.
const SETTINGS: [(&str, &str); 13] = [
    ("adam_weight_decay", "weight_decay"),
    ("adam_epsilon", "eps"),
    ("adam_beta1", "betas"),
    ("adam_beta2", "betas"),
    ("beta1", "betas"),
    ("beta2", "betas"),
    ("epsilon", "eps"),
    ("prodigy_d0", "d0"),
    ("prodigy_d_coef", "d_coef"),
    ("prodigy_beta3", "beta3"),
    ("lokr_factor", "factor"),
    ("dylora_unit", "unit"),
    ("lycoris_preset", "preset"),
];

/// The option for which `name` is taken.
pub(crate) fn taken(name: &str) -> Option<&'static str> {
    TAKEN.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, option)| *option)
}

/// The option that is called `name` elsewhere.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    let known = |names: &&[&str]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    MEANT.iter().find(|(_, names)| known(names)).map(|(option, _)| *option)
}

/// What to do in place of an option that other programs have.
pub(crate) fn advice(given: &Given) -> Option<String> {
    let name = given.name.to_ascii_lowercase();
    if let Some((_, advice)) = ADVICE.iter().find(|(names, _)| names.contains(&name.as_str())) {
        return Some((*advice).to_owned());
    }
    let setting = SETTINGS.iter().find(|(theirs, _)| *theirs == name).map_or(name.as_str(), |(_, own)| own);
    let of_lora = adapter_args::known("networks.lora").contains(&setting);
    let of_dylora = adapter_args::known("networks.dylora").contains(&setting);
    if of_lora {
        return Some(as_setting("network_args", setting, given));
    }
    if of_dylora || adapter_args::known("lycoris.kohya").contains(&setting) {
        let module = if of_dylora { "networks.dylora" } else { "lycoris.kohya" };
        return Some(format!("with network_module {module} {}", as_setting("network_args", setting, given)));
    }
    let is_of_optimizer = Optimizer::all().iter().any(|own| own.keys().contains(&setting));
    if is_of_optimizer { Some(as_setting("optimizer_args", setting, given)) } else { None }
}

/// How a setting is written in the list of an option.
fn as_setting(option: &str, setting: &str, given: &Given) -> String {
    let value = match (setting, given.values.as_slice()) {
        ("betas", [value]) if given.name != "betas" => format!("{value},0.999"),
        (_, []) => "True".to_owned(),
        (_, values) => values.join(","),
    };
    if given.file.is_some() {
        return format!("add it to {option}, as in {option} = [\"{setting}={value}\"]");
    }
    format!("add it to --{option}, as in --{option} {setting}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::command::command;

    /// Advice that names an option which is not there would lead astray, and so would one for an option that is.
    #[test]
    fn advice_names_options_that_there_are() {
        let command = command();
        let is_option = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
        for (option, names) in MEANT.iter().copied().chain(TAKEN.map(|(name, option)| (option, &*vec![name].leak()))) {
            assert!(is_option(option), "{option}");
            for name in names {
                assert!(!is_option(name), "{name}");
            }
        }
        for (names, advice) in ADVICE {
            assert!(names.iter().all(|name| !is_option(name) && meant(name).is_none()), "{names:?}");
            for word in advice.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter))) {
                if let Some(option) = word.strip_prefix("--").filter(|option| option.len() > 1) {
                    assert!(is_option(option), "{advice}");
                }
            }
        }
    }
}
