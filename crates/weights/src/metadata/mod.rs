//! The metadata of a LoRA file: what sd-scripts writes (`ss_*`, `modelspec.*`), and our own two keys.
//!
//! Keys, values and their spelling follow sd-scripts' `train_network.py` and `sai_model_spec.py`: web UIs and LoRA
//! browsers read them. Options that lorabake does not have yet stand at sd-scripts' default, which is what a bake does.
//! The hashes over the tensors (`sshs_*`) are added where the file is written, in [`crate::lora`].

mod dataset;
mod datasets;
mod diffusion;
pub mod hashes;
mod python;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use lorabake_recipe::Recipe;
use lorabake_recipe::data::dataset_facts::DatasetFacts;
use lorabake_recipe::model::Family;
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::optim::setting::Setting;
use lorabake_recipe::optim::{ScheduleKind, Warmup};
use lorabake_recipe::train::{Fp8, Recompute};

pub use hashes::ModelHashes;
use python::{boolean, float, json, optional};

/// What a run knows beyond its recipe.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Random number that the files of one run share (`ss_session_id`).
    pub session_id: u32,
    /// Seconds since 1970 (`ss_training_started_at`); see [`now`].
    pub started_at: f64,
    /// Seconds since 1970, of this save (`ss_training_finished_at`).
    pub finished_at: f64,
    /// Optimizer steps done (`ss_steps`).
    pub steps: u64,
    /// Epoch of this save, from 1 (`ss_epoch`).
    pub epoch: u64,
    /// Epochs of the whole run (`ss_num_epochs`).
    pub num_epochs: u64,
    /// Optimizer steps of the whole run (`ss_max_train_steps`).
    pub max_train_steps: u64,
    /// Batches of one epoch (`ss_num_batches_per_epoch`).
    pub batches_per_epoch: u64,
    /// The images.
    pub dataset: DatasetFacts,
    /// File name of the checkpoint without its folder (`ss_sd_model_name`).
    pub model_name: String,
    /// Hashes of the checkpoint; left out if `None`.
    pub model_hashes: Option<ModelHashes>,
    /// `--vae`: its name without folders (`ss_vae_name`), and its hashes, which are left out if `None`.
    pub vae: Option<(String, Option<ModelHashes>)>,
    /// Options that sd-scripts reports as typed.
    pub typed: Typed,
    /// The effective recipe as TOML (`lorabake_recipe`); it travels with the file, so whoever gets the file reads it.
    pub recipe_toml: String,
}

/// Options whose value in sd-scripts' metadata is what was typed, `None` if nothing was.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed {
    /// `--unet_lr`
    pub unet_lr: Option<f64>,
    /// `--text_encoder_lr`
    pub text_encoder_lr: Option<f64>,
    /// `--clip_skip`
    pub clip_skip: Option<u32>,
}

impl Typed {
    /// The effective values, as if they had been typed.
    pub fn effective(recipe: &Recipe) -> Self {
        Self {
            unet_lr: Some(recipe.optim.unet_lr),
            text_encoder_lr: Some(recipe.optim.text_encoder_lr),
            clip_skip: Some(recipe.model.clip_skip),
        }
    }
}

/// Seconds since 1970, as Python's `time.time()`.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The local date and time for names of files, as `20261130-073500`.
pub fn local_date() -> String {
    chrono::Local::now().format("%Y%m%d-%H%M%S").to_string()
}

/// What stays with `--no_metadata`, beside `modelspec.*`.
const MINIMUM: [&str; 6] =
    ["ss_v2", "ss_base_model_version", "ss_network_module", "ss_network_dim", "ss_network_alpha", "ss_network_args"];

/// Options of sd-scripts that lorabake does not have: what they are when they are off.
const ABSENT: [(&str, &str); 3] =
    [("ss_full_fp16", "False"), ("ss_lowram", "False"), ("ss_resize_interpolation", "None")];

/// The metadata of a file that a bake of `recipe` saves. With `--dim_from_weights` the recipe must already hold the
/// rank and alpha of those weights.
pub fn build(recipe: &Recipe, facts: &RunFacts) -> BTreeMap<String, String> {
    let mut entries = Entries::default();
    ABSENT.iter().for_each(|(key, value)| entries.put(key, *value));
    model(&mut entries, recipe, facts);
    network(&mut entries, recipe);
    run(&mut entries, recipe, facts);
    learning(&mut entries, recipe, facts);
    diffusion::put(&mut entries, &recipe.diffusion);
    entries.put("ss_prior_loss_weight", float(recipe.prior.loss_weight));
    images(&mut entries, recipe);
    validation(&mut entries, recipe, facts);
    dataset::put(&mut entries, &facts.dataset);
    if let Some(config) = &recipe.data.config {
        datasets::put(&mut entries, config, &facts.dataset.sets);
    }
    entries.put("lorabake_version", env!("CARGO_PKG_VERSION"));
    if let Some(decay) = recipe.optim.ema_decay {
        entries.put("lorabake_ema_decay", float(decay));
    }
    entries.put("lorabake_recipe", &facts.recipe_toml);
    if recipe.output.no_metadata {
        entries.0.retain(|key, _| MINIMUM.contains(&key.as_str()));
    }
    model_spec(&mut entries, recipe, facts);
    entries.0
}

/// Metadata under construction.
#[derive(Default)]
struct Entries(BTreeMap<String, String>);

impl Entries {
    fn put(&mut self, key: &str, value: impl ToString) {
        self.0.insert(key.to_string(), value.to_string());
    }
}

/// What the checkpoint is; every recipe that trains knows it.
fn family(recipe: &Recipe) -> Family {
    recipe.model.family.unwrap_or(Family::Sd1)
}

fn model(entries: &mut Entries, recipe: &Recipe, facts: &RunFacts) {
    let family = family(recipe);
    entries.put("ss_v2", boolean(family == Family::Sd2));
    let version = match (family, recipe.diffusion.v_parameterization) {
        (Family::Sd1, false) => "sd_v1",
        (Family::Sd1, true) => "sd_v1_v",
        (Family::Sd2, false) => "sd_v2",
        (Family::Sd2, true) => "sd_v2_v",
        (Family::Sdxl, _) => "sdxl_base_v1-0",
    };
    entries.put("ss_base_model_version", version);
    entries.put("ss_sd_model_name", &facts.model_name);
    if let Some(hashes) = &facts.model_hashes {
        entries.put("ss_sd_model_hash", &hashes.legacy);
        entries.put("ss_new_sd_model_hash", &hashes.sha256);
    }
    if let Some((name, hashes)) = &facts.vae {
        entries.put("ss_vae_name", name);
        if let Some(hashes) = hashes {
            entries.put("ss_vae_hash", &hashes.legacy);
            entries.put("ss_new_vae_hash", &hashes.sha256);
        }
    }
    entries.put("ss_clip_skip", optional(facts.typed.clip_skip));
    let length = if recipe.model.max_token_length == 75 { None } else { Some(recipe.model.max_token_length) };
    entries.put("ss_max_token_length", optional(length));
}

fn network(entries: &mut Entries, recipe: &Recipe) {
    let network = &recipe.network;
    entries.put("ss_network_module", network.module());
    entries.put("ss_network_dim", network.linear.rank);
    entries.put("ss_network_alpha", float(network.linear.alpha));
    entries.put("ss_scale_weight_norms", optional(network.max_norm.map(float)));
    let dropout = if network.dropout.neuron > 0.0 { Some(network.dropout.neuron) } else { None };
    entries.put("ss_network_dropout", optional(dropout.map(float)));
    if !network.args.is_empty() {
        // As typed; sd-scripts adds --network_dropout, a number, unless the arguments have one or the file decides.
        let typed = network.args.iter().map(|(key, value)| (key.as_str(), serde_json::json!(value)));
        let mut arguments: Vec<(&str, serde_json::Value)> = typed.collect();
        if !network.dim_from_weights && !arguments.iter().any(|(key, _)| *key == "dropout") {
            arguments.push(("dropout", serde_json::json!(dropout)));
        }
        entries.put("ss_network_args", json(&python::Ordered(&arguments)));
    }
}

fn run(entries: &mut Entries, recipe: &Recipe, facts: &RunFacts) {
    entries.put("ss_session_id", facts.session_id);
    entries.put("ss_training_started_at", float(facts.started_at));
    entries.put("ss_training_finished_at", float(facts.finished_at));
    entries.put("ss_output_name", &recipe.output.name);
    entries.put("ss_training_comment", optional(recipe.output.comment.as_ref()));
    // sd-scripts' own spelling for a version that it does not know; ours is in lorabake_version.
    entries.put("ss_sd_scripts_commit_hash", "(unknown)");
    entries.put("ss_seed", recipe.train.seed);
    let precision = recipe.train.precision.name();
    entries.put("ss_mixed_precision", precision);
    entries.put("ss_fp8_base", boolean(recipe.train.fp8 == Fp8::All));
    entries.put("ss_fp8_base_unet", boolean(recipe.train.fp8 == Fp8::Unet));
    entries.put("ss_gradient_checkpointing", boolean(recipe.train.recompute != Recompute::No));
    entries.put("ss_gradient_accumulation_steps", recipe.train.accumulation);
    entries.put("ss_max_train_steps", facts.max_train_steps);
    entries.put("ss_num_epochs", facts.num_epochs);
    entries.put("ss_num_batches_per_epoch", facts.batches_per_epoch);
    entries.put("ss_steps", facts.steps);
    entries.put("ss_epoch", facts.epoch);
}

fn learning(entries: &mut Entries, recipe: &Recipe, facts: &RunFacts) {
    let optim = &recipe.optim;
    entries.put("ss_optimizer", optimizer(&optim.optimizer));
    // sd-scripts forgets two of the three rates where AdaFactor sets its own.
    let used = |rate: f64| if optim.optimizer.sets_own_rates() { None } else { Some(float(rate)) };
    entries.put("ss_learning_rate", optional(used(optim.learning_rate)));
    entries.put("ss_unet_lr", optional(facts.typed.unet_lr.and_then(used)));
    let text = match optim.text_encoder_lr == optim.text_encoder2_lr {
        true => optional(facts.typed.text_encoder_lr.map(float)),
        false => format!("[{}, {}]", float(optim.text_encoder_lr), float(optim.text_encoder2_lr)),
    };
    entries.put("ss_text_encoder_lr", text);
    let scheduler = match optim.schedule.kind {
        ScheduleKind::Constant => "constant",
        ScheduleKind::ConstantWithWarmup => "constant_with_warmup",
        ScheduleKind::Linear => "linear",
        ScheduleKind::Cosine => "cosine",
        ScheduleKind::CosineWithRestarts { .. } => "cosine_with_restarts",
        ScheduleKind::Polynomial { .. } => "polynomial",
        ScheduleKind::AdaFactor => &format!("adafactor:{}", float(optim.learning_rate)),
    };
    entries.put("ss_lr_scheduler", scheduler);
    let warmup = match optim.schedule.warmup {
        Warmup::Steps(steps) => steps.to_string(),
        Warmup::Ratio(ratio) => float(ratio),
    };
    entries.put("ss_lr_warmup_steps", warmup);
    entries.put("ss_max_grad_norm", float(optim.max_grad_norm));
}

/// The optimizer's Python class, with the settings that differ from its defaults.
fn optimizer(optimizer: &Optimizer) -> String {
    let python = |setting: Setting| match setting {
        Setting::Number(value) => float(value),
        Setting::Numbers(values) => format!("({})", values.into_iter().map(float).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    };
    let settings: Vec<String> =
        optimizer.notable().into_iter().map(|(name, value)| format!("{name}={}", python(value))).collect();
    let settings = if settings.is_empty() { String::new() } else { format!("({})", settings.join(",")) };
    format!("{}{settings}", optimizer.python_class())
}

fn images(entries: &mut Entries, recipe: &Recipe) {
    let data = &recipe.data;
    entries.put("ss_batch_size_per_device", data.batch_size);
    entries.put("ss_total_batch_size", data.batch_size * recipe.train.accumulation);
    entries.put("ss_resolution", format!("({}, {})", data.resolution.0, data.resolution.1));
    entries.put("ss_flip_aug", boolean(data.flip_aug));
    entries.put("ss_random_crop", boolean(data.random_crop));
    entries.put("ss_color_aug", boolean(data.color_aug));
    let range = data.face_crop.map(|(least, most)| format!("({}, {})", float(least), float(most)));
    entries.put("ss_face_crop_aug_range", optional(range));
    entries.put("ss_cache_latents", boolean(data.cache_latents));
    entries.put("ss_shuffle_caption", boolean(data.captions.shuffle));
    entries.put("ss_keep_tokens", data.captions.keep_tokens);
    entries.put("ss_caption_dropout_rate", float(data.captions.dropout_rate));
    entries.put("ss_caption_dropout_every_n_epochs", data.captions.dropout_every_n_epochs);
    entries.put("ss_caption_tag_dropout_rate", float(data.captions.tag_dropout_rate));
    let buckets = data.buckets.as_ref();
    entries.put("ss_enable_bucket", boolean(buckets.is_some()));
    entries.put("ss_bucket_no_upscale", boolean(buckets.is_some_and(|buckets| buckets.no_upscale)));
    // sd-scripts brings both to multiples of the step.
    entries.put("ss_min_bucket_reso", optional(buckets.map(|b| b.min - b.min % b.step.max(1))));
    entries.put("ss_max_bucket_reso", optional(buckets.map(|b| b.max.next_multiple_of(b.step.max(1)))));
}

fn validation(entries: &mut Entries, recipe: &Recipe, facts: &RunFacts) {
    let hold_out = recipe.data.hold_out;
    let every = recipe.validation;
    entries.put("ss_num_validation_images", facts.dataset.validation_images);
    entries.put("ss_validation_split", float(hold_out.share));
    entries.put("ss_validation_seed", optional(hold_out.seed));
    entries.put("ss_validate_every_n_epochs", optional(every.map(|every| every.every_epochs)));
    entries.put("ss_validate_every_n_steps", optional(every.and_then(|every| every.every_steps)));
    entries.put("ss_max_validation_steps", optional(every.and_then(|every| every.most_batches)));
}

fn model_spec(entries: &mut Entries, recipe: &Recipe, facts: &RunFacts) {
    entries.put("modelspec.sai_model_spec", "1.0.1");
    let architecture = match (family(recipe), recipe.diffusion.v_parameterization) {
        (Family::Sd1, _) => "stable-diffusion-v1/lora",
        (Family::Sd2, false) => "stable-diffusion-v2-512/lora",
        (Family::Sd2, true) => "stable-diffusion-v2-768-v/lora",
        (Family::Sdxl, _) => "stable-diffusion-xl-v1-base/lora",
    };
    entries.put("modelspec.architecture", architecture);
    let implementation = match family(recipe) {
        Family::Sdxl => "https://github.com/Stability-AI/generative-models",
        Family::Sd1 | Family::Sd2 => "diffusers",
    };
    entries.put("modelspec.implementation", implementation);
    entries.put("modelspec.implementation_version", concat!("lorabake/", env!("CARGO_PKG_VERSION")));
    entries.put("modelspec.title", &recipe.output.name);
    entries.put("modelspec.resolution", format!("{}x{}", recipe.data.resolution.0, recipe.data.resolution.1));
    entries.put("modelspec.date", python::local_date(facts.finished_at));
    let range = (recipe.diffusion.min_timestep, recipe.diffusion.max_timestep);
    if range != (0, 1000) {
        entries.put("modelspec.timestep_range", format!("{},{}", range.0, range.1));
    }
    let prediction = if recipe.diffusion.v_parameterization { "v" } else { "epsilon" };
    entries.put("modelspec.prediction_type", prediction);
    if let Some(layer) = facts.typed.clip_skip {
        entries.put("modelspec.encoder_layer", layer);
    }
}
