//! Options of sd-scripts that never reach a recipe, so that none of them is ignored without a word.
//!
//! Names are those of `train_network.py`, `train_util.py`, `custom_train_functions.py`, `config_util.py`,
//! `deepspeed_utils.py`, `sai_model_spec.py` and `utils.py` of kohya-ss/sd-scripts 48d368fa, of `accelerate launch`,
//! and two that the kohya GUI writes. `name=value` marks the value that means "off" there; with it an option is
//! accepted.

use super::argv::Given;
use crate::report::{Note, Problem};

/// Options that change nothing here, each with the reason; those that end in `=` take a value.
const WITHOUT_EFFECT: [(&[&str], &str); 19] = [
    (&["xformers", "sdpa", "mem_eff_attn"], "lorabake always uses its own memory-saving attention"),
    (
        &["max_data_loader_n_workers=", "persistent_data_loader_workers"],
        "images are read inside the one process; --threads limits its processor threads",
    ),
    (&["vae_batch_size="], "it changes no result, and lorabake chooses how many images it encodes at once"),
    (&["lowram", "highvram"], "it moves models between main and GPU memory, and here there is only one memory"),
    (
        &["cpu_offload_checkpointing"],
        "what is kept for the backward pass is in main memory already; --gradient_checkpointing keeps less of it",
    ),
    (&["torch_compile", "dynamo_backend="], "lorabake is compiled already"),
    (&["ddp_timeout=", "ddp_gradient_as_bucket_view", "ddp_static_graph"], "lorabake runs as one process"),
    (&["tokenizer_cache_dir="], "the tokenizer is inside the program"),
    (&["use_safetensors"], "results are always safetensors files"),
    (&["disable_mmap_load_safetensors"], "it changes how a file is read, not what is read"),
    (&["cache_info"], "looking through the images takes seconds, and is done in every run"),
    (&["text_encoder_batch_size="], "it changes no result, and lorabake encodes captions one by one"),
    (
        &["lr_decay_steps=", "lr_scheduler_timescale=", "lr_scheduler_min_lr_ratio="],
        "none of the schedules that lorabake has uses it",
    ),
    (
        &["wandb_run_name=", "wandb_api_key=", "log_tracker_name=", "log_tracker_config=", "log_config"],
        "charts are written for TensorBoard only; the recipe itself is kept in the LoRA file",
    ),
    (
        &["full_fp16", "full_bf16"],
        "what is trained stays in 32-bit floats, which is more exact; --mixed_precision=bf16 saves memory",
    ),
    (
        &["log_with=", "console_log_level=", "console_log_file=", "console_log_simple"],
        "charts are written for TensorBoard and as JSON lines into the folder of --logging_dir",
    ),
    (
        &["num_cpu_threads_per_process=", "num_machines=", "gpu_ids=", "main_process_port="],
        "lorabake needs no launcher and runs as one process; --threads sets its processor threads",
    ),
    (&["weighting_scheme=", "logit_mean=", "logit_std=", "mode_scale="], "it belongs to FLUX and Stable Diffusion 3"),
    (&["epoch=", "noise_offset_type="], "it is a field of the kohya GUI that sd-scripts ignores too"),
];

/// Options that would change the result or do something, and that lorabake cannot do; each with what to do instead.
const REFUSED: [(&[&str], &str); 10] = [
    (&["resize_interpolation"], "leave it out: images are shrunk by area and enlarged by Lanczos"),
    (
        &["dataset_class", "in_json", "dataset_repeats=1", "debug_dataset"],
        "use --train_data_dir with REPEATS_NAME folders, or --dataset_config",
    ),
    (&["cache_text_encoder_outputs_to_disk"], "use --cache_text_encoder_outputs, which keeps them in memory"),
    (&["base_weights", "base_weights_multiplier"], "merge that LoRA into the checkpoint first"),
    (&["lr_scheduler_type", "lr_scheduler_args"], "use --lr_scheduler with one of the six schedules that --help lists"),
    (&["fused_backward_pass"], "leave it out; --gradient_checkpointing saves memory"),
    (
        &["initial_epoch", "initial_step", "skip_until_initial_step"],
        "use --resume, which goes on exactly where the saved state was",
    ),
    (
        &[
            "huggingface_repo_id",
            "huggingface_repo_type",
            "huggingface_path_in_repo",
            "huggingface_token",
            "huggingface_repo_visibility",
            "save_state_to_huggingface",
            "resume_from_huggingface",
            "async_upload",
        ],
        "leave it out: lorabake never uses the network; upload the finished file yourself",
    ),
    (
        &[
            "metadata_title",
            "metadata_author",
            "metadata_description",
            "metadata_license",
            "metadata_tags",
            "metadata_usage_hint",
            "metadata_thumbnail",
            "metadata_merged_from",
            "metadata_trigger_phrase",
            "metadata_preprocessor",
            "metadata_is_negative_embedding",
        ],
        "put the text into --training_comment",
    ),
    (
        &[
            "num_processes=1",
            "multi_gpu",
            "deepspeed",
            "zero_stage",
            "offload_optimizer_device",
            "offload_optimizer_nvme_path",
            "offload_param_device",
            "offload_param_nvme_path",
            "zero3_init_flag",
            "zero3_save_16bit_model",
            "fp16_master_weights_and_gradients",
        ],
        "leave it out: lorabake runs as one process",
    ),
];

/// Names of all options that are known and not taken into a recipe.
pub(crate) fn names<'a>() -> impl Iterator<Item = &'a str> {
    let effectless = WITHOUT_EFFECT.iter().flat_map(|(names, _)| names.iter());
    let refused = REFUSED.iter().flat_map(|(names, _)| names.iter());
    effectless.chain(refused).map(|entry| entry.split_once('=').map_or(*entry, |(name, _)| name))
}

/// What becomes of an option that is not part of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// sd-scripts does not know it either.
    Unknown,
    /// The option is given in a way that switches it off, so there is nothing to say.
    SwitchedOff,
    /// The option changes nothing here.
    NoEffect(Note),
    /// The option would change the result, and lorabake cannot do it; or words follow it that belong to no option.
    Refused(Problem),
}

/// What becomes of an option that no section of the recipe has.
pub(crate) fn classify(given: &Given) -> Verdict {
    let empty_list = given.file.is_some() && given.values.is_empty();
    let all_off = !given.values.is_empty() && given.values.iter().all(|value| is_off(value));
    let off = empty_list || all_off;
    for (names, reason) in &WITHOUT_EFFECT {
        let Some(entry) = names.iter().find(|entry| entry.trim_end_matches('=') == given.name) else { continue };
        if let Some(word) = stray_word(given, entry.ends_with('=')) {
            let what = format!("`{word}` follows it, and belongs to no option");
            return Verdict::Refused(given.problem(what, "leave that word out"));
        }
        if off {
            return Verdict::SwitchedOff;
        }
        let text = format!("has no effect here: {reason}");
        return Verdict::NoEffect(Note { option: given.name.clone(), text });
    }
    for (names, remedy) in &REFUSED {
        for entry in *names {
            let (name, neutral) = match entry.split_once('=') {
                Some((name, neutral)) => (name, Some(neutral)),
                None => (*entry, None),
            };
            if name != given.name {
                continue;
            }
            let is_neutral = neutral.is_some_and(|neutral| given.values.iter().all(|value| same(value, neutral)));
            if off || is_neutral && !given.values.is_empty() {
                return Verdict::SwitchedOff;
            }
            let what = "known to sd-scripts, but lorabake does not support it yet";
            return Verdict::Refused(given.problem(what, *remedy));
        }
    }
    Verdict::Unknown
}

/// Whether a value switches its option off.
fn is_off(value: &str) -> bool {
    matches!(value, "" | "None" | "false")
}

/// The first word on the command line behind an option that can be none of its values.
fn stray_word(given: &Given, takes_value: bool) -> Option<&String> {
    if given.file.is_some() {
        return None;
    }
    let mut more = given.values.iter().skip(usize::from(takes_value));
    more.find(|word| !is_off(word) && *word != "true")
}

/// Equal as numbers or as text.
fn same(value: &str, neutral: &str) -> bool {
    match (value.parse::<f64>(), neutral.parse::<f64>()) {
        (Ok(value), Ok(neutral)) => value == neutral,
        _ => value == neutral,
    }
}
