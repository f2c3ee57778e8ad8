//! The names of the kohya GUI's settings: those that are options, those without counterpart, and its kinds of adapters.

use crate::network::block_args;

/// Settings with the name and the meaning of the option.
pub(super) const SAME: [&str; 64] = [
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
pub(super) const UNLESS_ZERO: [&str; 25] = [
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
pub(super) const ASIDE: [(&[&str], &str); 6] = [
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
pub(super) const KOHYA_ARGS: [&str; 10] = {
    let [down, mid, up, threshold, dims, alphas, conv_dims, conv_alphas] = block_args::KEYS;
    [down, mid, up, threshold, dims, alphas, conv_dims, conv_alphas, "rank_dropout", "module_dropout"]
};

/// A kind of adapter.
pub(super) struct Kind {
    /// `LoRA_type`
    pub(super) name: &'static str,
    pub(super) module: &'static str,
    /// Algorithm of LyCORIS.
    pub(super) algo: &'static str,
    /// Settings that it takes.
    pub(super) keys: &'static [&'static str],
}

pub(super) const KINDS: [Kind; 15] = [
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
pub(super) const ADAPTER: [&str; 23] = [
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
