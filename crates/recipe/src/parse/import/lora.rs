//! The recipe inside a LoRA file: lorabake's own, or what sd-scripts writes into `ss_*`.
//!
//! Only the header of the file is read. Keys and spelling: sd-scripts' `train_network.py`; values are Python's `str`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::imported::{Imported, LeftOut};
use super::ledger::{self, Ledger};
use super::{family, other_family};
use crate::network::lycoris_preset::names_a_preset_file;
use crate::optim::optimizer::Optimizer;
use crate::parse::command::{command, names_a_file};
use crate::parse::{file, table, words};
use crate::report::Problem;

/// Longest header that is read; the safetensors library's own limit.
const LIMIT: u64 = 100_000_000;

/// Metadata with the option that it stands for, `None` and `False` standing for off.
const SAME: [(&str, &str); 47] = [
    ("ss_network_module", "network_module"),
    ("ss_network_alpha", "network_alpha"),
    ("ss_network_dropout", "network_dropout"),
    ("ss_learning_rate", "learning_rate"),
    ("ss_unet_lr", "unet_lr"),
    ("ss_lr_scheduler", "lr_scheduler"),
    ("ss_lr_warmup_steps", "lr_warmup_steps"),
    ("ss_max_grad_norm", "max_grad_norm"),
    ("ss_gradient_accumulation_steps", "gradient_accumulation_steps"),
    ("ss_clip_skip", "clip_skip"),
    ("ss_max_token_length", "max_token_length"),
    ("ss_mixed_precision", "mixed_precision"),
    ("ss_seed", "seed"),
    ("ss_batch_size_per_device", "train_batch_size"),
    ("ss_enable_bucket", "enable_bucket"),
    ("ss_min_bucket_reso", "min_bucket_reso"),
    ("ss_max_bucket_reso", "max_bucket_reso"),
    ("ss_bucket_no_upscale", "bucket_no_upscale"),
    ("ss_cache_latents", "cache_latents"),
    ("ss_flip_aug", "flip_aug"),
    ("ss_color_aug", "color_aug"),
    ("ss_random_crop", "random_crop"),
    ("ss_face_crop_aug_range", "face_crop_aug_range"),
    ("ss_shuffle_caption", "shuffle_caption"),
    ("ss_keep_tokens", "keep_tokens"),
    ("ss_caption_dropout_rate", "caption_dropout_rate"),
    ("ss_caption_dropout_every_n_epochs", "caption_dropout_every_n_epochs"),
    ("ss_caption_tag_dropout_rate", "caption_tag_dropout_rate"),
    ("ss_prior_loss_weight", "prior_loss_weight"),
    ("ss_min_snr_gamma", "min_snr_gamma"),
    ("ss_scale_weight_norms", "scale_weight_norms"),
    ("ss_debiased_estimation", "debiased_estimation_loss"),
    ("ss_zero_terminal_snr", "zero_terminal_snr"),
    ("ss_noise_offset", "noise_offset"),
    ("ss_noise_offset_random_strength", "noise_offset_random_strength"),
    ("ss_adaptive_noise_scale", "adaptive_noise_scale"),
    ("ss_multires_noise_iterations", "multires_noise_iterations"),
    ("ss_ip_noise_gamma", "ip_noise_gamma"),
    ("ss_ip_noise_gamma_random_strength", "ip_noise_gamma_random_strength"),
    ("ss_validation_seed", "validation_seed"),
    ("ss_validate_every_n_steps", "validate_every_n_steps"),
    ("ss_validate_every_n_epochs", "validate_every_n_epochs"),
    ("ss_max_validation_steps", "max_validation_steps"),
    ("ss_gradient_checkpointing", "gradient_checkpointing"),
    ("ss_full_fp16", "full_fp16"),
    ("ss_fp8_base", "fp8_base"),
    ("ss_fp8_base_unet", "fp8_base_unet"),
];

/// Options that mean nothing without another one: (option, metadata, what that must be for it to be taken).
const DEPENDENT: [(&str, &str, &str); 5] = [
    ("loss_type", "ss_loss_type", ""),
    ("huber_schedule", "ss_huber_schedule", "huber"),
    ("huber_c", "ss_huber_c", "huber"),
    ("huber_scale", "ss_huber_scale", "huber"),
    ("multires_noise_discount", "ss_multires_noise_discount", "multires"),
];

/// Reads the metadata of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Imported, Problem> {
    let metadata = header(path).map_err(|what| Problem::of_file(path, what, "name a LoRA as a .safetensors file"))?;
    if let Some(Value::String(recipe)) = metadata.get("lorabake_recipe") {
        return Ok(without_files(from_recipe(recipe, path)?));
    }
    if !metadata.keys().any(|key| key.starts_with("ss_network") || key.starts_with("ss_learning")) {
        let what = "it does not say how it was trained".to_owned();
        return Err(Problem::of_file(path, what, "write the recipe by hand"));
    }
    let base = metadata.get("ss_base_model_version").and_then(Value::as_str);
    if let Some(family) = base.and_then(family::named) {
        return Err(other_family("LoRA", family, path));
    }
    Ok(without_files(from_metadata(metadata)))
}

/// Why what names a file is left out.
const OWN_FILE: &str = "give your own";

/// Leaves out whatever names a file: where a LoRA came from and went to is another's business, and its author decides
/// neither what is read on this machine nor where something is written.
fn without_files(imported: Imported) -> Imported {
    let Imported { source, options, mut left_out } = imported;
    let command = command();
    let mut kept = Vec::new();
    for (name, mut values) in options {
        if names_a_file(&command, &name) {
            left_out.push(LeftOut::new(&name, &values.join(" "), OWN_FILE));
            continue;
        }
        if name == "network_args" {
            values = without_presets(values, &mut left_out);
        }
        if !values.is_empty() {
            kept.push((name, values));
        }
    }
    Imported { source, options: kept, left_out }
}

/// The pairs of `--network_args` without those that name a preset's file.
///
/// Each time that the pairs are read, a pair of quotation marks around several of them goes. So they are read until
/// another reading changes nothing: what is kept then means the same to whoever reads it next.
fn without_presets(mut values: Vec<String>, left_out: &mut Vec<LeftOut>) -> Vec<String> {
    /// More marks within marks than anybody writes.
    const READINGS: usize = 8;
    for _ in 0..READINGS {
        let mut read = words::listed_pairs(&values);
        let files = read.extract_if(.., |pair| names_a_preset_file(pair));
        left_out.extend(files.map(|pair| LeftOut::new("network_args", &pair, OWN_FILE)));
        if read == values {
            return values;
        }
        values = read;
    }
    left_out.push(LeftOut::new("network_args", &values.join(" "), "it stands in too many quotation marks"));
    Vec::new()
}

/// The recipe that lorabake keeps in what it bakes.
fn from_recipe(recipe: &str, path: &Path) -> Result<Imported, Problem> {
    let broken = |problem: Problem| Problem { remedy: "write the recipe by hand".to_owned(), ..problem };
    let table = table::of_toml(recipe, path).map_err(broken)?;
    let stages = table.get("stage").and_then(|stages| stages.as_array()).map_or(0, Vec::len);
    let read = file::options(table, path);
    if let Some(problem) = read.problems.into_iter().next() {
        return Err(broken(problem));
    }
    let mut books = Ledger::new(Map::new());
    for given in read.options {
        books.give_list(&given.name, given.values);
    }
    if stages > 0 {
        books.refuse("stage", &format!("{stages} tables"), "stages are not taken over; write them by hand");
    }
    Ok(books.close("a LoRA that lorabake baked"))
}

/// The text metadata in the header of a safetensors file.
fn header(path: &Path) -> Result<Map<String, Value>, String> {
    const BROKEN: &str = "it is no safetensors file";
    let mut file = File::open(path).map_err(unreadable)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| BROKEN)?;
    let length = u64::from_le_bytes(length);
    let size = file.metadata().map_err(unreadable)?.len();
    if length > LIMIT.min(size.saturating_sub(8)) {
        return Err(BROKEN.to_owned());
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).map_err(unreadable)?;
    let mut header: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| BROKEN)?;
    match header.remove("__metadata__") {
        Some(Value::Object(metadata)) => Ok(metadata),
        _ => Ok(Map::new()),
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("it cannot be read ({error})")
}

/// A value of the metadata, all of which are text in Python's spelling.
fn from_python(value: &Value) -> Value {
    match value.as_str() {
        None | Some("None" | "null" | "False") => Value::Null,
        Some("True") => Value::Bool(true),
        Some(text) => Value::String(text.to_owned()),
    }
}

/// The recipe that sd-scripts' `ss_*` entries describe.
fn from_metadata(metadata: Map<String, Value>) -> Imported {
    let mut settings = Map::new();
    for (key, value) in metadata {
        if key.starts_with("ss_") {
            settings.insert(key, from_python(&value));
        }
    }
    let mut books = Ledger::new(settings);
    let base = books.text("ss_base_model_version");
    let network_args = books.text("ss_network_args");
    for (key, option) in SAME {
        books.copy(key, option);
    }
    books.copy_unless_zero("ss_validation_split", "validation_split");
    text_encoder_rate(&mut books);
    network(&mut books, network_args);
    optimizer(&mut books);
    duration(&mut books);
    if let Some(size) = books.text("ss_resolution") {
        books.give("resolution", size.trim_matches(['(', ')', ' ']).replace(' ', ""));
    }
    depending(&mut books);
    if let Some(base) = base {
        match base.as_str() {
            // What it is, the checkpoint says itself.
            "sd_v1" | "sd_v2" | "sdxl_base_v1-0" => {}
            "sd_v1_v" | "sd_v2_v" => books.give("v_parameterization", true),
            other => {
                let why = "lorabake trains Stable Diffusion 1.x, 2.x and SDXL models";
                books.refuse("ss_base_model_version", other, why);
            }
        }
    }
    books.leave(&["ss_datasets"], "several data sets; describe yours with --dataset_config");
    books.leave(&["ss_sd_model_name", "ss_vae_name"], "it was trained from this file; name yours");
    books.forget(&REST);
    books.forget(&["ss_v2"]);
    books.close("the metadata of a LoRA")
}

/// Metadata about this one file, its images and the machine.
const REST: [&str; 31] = [
    "ss_session_id",
    "ss_training_started_at",
    "ss_training_finished_at",
    "ss_output_name",
    "ss_training_comment",
    "ss_sd_scripts_commit_hash",
    "ss_num_train_images",
    "ss_num_reg_images",
    "ss_num_batches_per_epoch",
    "ss_num_validation_images",
    "ss_epoch",
    "ss_steps",
    "ss_total_batch_size",
    "ss_dataset_dirs",
    "ss_reg_dataset_dirs",
    "ss_tag_frequency",
    "ss_bucket_info",
    "ss_sd_model_hash",
    "ss_new_sd_model_hash",
    "ss_vae_hash",
    "ss_new_vae_hash",
    "ss_lowram",
    "ss_resize_interpolation",
    "ss_skip_image_resolution",
    "ss_model_prediction_type",
    "ss_loss_type",
    "ss_huber_schedule",
    "ss_huber_c",
    "ss_huber_scale",
    "ss_multires_noise_discount",
    "ss_dataset_type",
];

/// One rate, or a list of one for each text encoder.
fn text_encoder_rate(books: &mut Ledger) {
    let Some(text) = books.text("ss_text_encoder_lr") else { return };
    let mut rates: Vec<&str> = text.trim_matches(['[', ']']).split(',').map(str::trim).collect();
    rates.dedup();
    books.give_list("text_encoder_lr", rates.into_iter().map(str::to_owned).collect());
}

/// `ss_network_args` is JSON with names and texts; its `dropout` repeats `ss_network_dropout`.
fn network(books: &mut Ledger, args: Option<String>) {
    match books.text("ss_network_dim") {
        Some(rank) if rank.parse::<u32>().is_ok() => books.give("network_dim", rank),
        Some(other) => books.refuse("ss_network_dim", &other, "give a rank with --network_dim"),
        None => {}
    }
    let Some(Ok(args)) = args.map(|args| serde_json::from_str::<Map<String, Value>>(&args)) else { return };
    let given = args.into_iter().filter(|(key, value)| key != "dropout" && !value.is_null());
    books.give_list("network_args", given.map(|(key, value)| format!("{key}={}", ledger::text(&value))).collect());
}

/// `bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))`.
fn optimizer(books: &mut Ledger) {
    let Some(text) = books.text("ss_optimizer") else { return };
    let (class, args) = text.split_once('(').unwrap_or((&text, ""));
    let name = last_part(class);
    let all = Optimizer::all();
    let Some(optimizer) = all.iter().find(|own| last_part(own.python_class()).eq_ignore_ascii_case(name)) else {
        books.refuse("ss_optimizer", &text, "choose one with optimizer_type");
        return;
    };
    books.give("optimizer_type", optimizer.name());
    let mut taken = Vec::new();
    for (key, value) in pairs(args.strip_suffix(')').unwrap_or(args)) {
        if optimizer.keys().contains(&key.as_str()) {
            taken.push(format!("{key}={}", value.trim_matches(['(', ')']).replace(' ', "")));
        } else if key != "nesterov" {
            books.refuse(&format!("ss_optimizer {key}"), &value, "the optimizer has no such setting here");
        }
    }
    books.give_list("optimizer_args", taken);
}

/// The name of a Python class without its module.
fn last_part(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or_default()
}

/// `a=1,b=(2, 3)` → (a, 1), (b, (2, 3)).
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut depth = 0;
    let mut part = String::new();
    for c in text.chars().chain([',']) {
        match c {
            ',' if depth == 0 => {
                if let Some((key, value)) = part.split_once('=') {
                    pairs.push((key.trim().to_owned(), value.trim().to_owned()));
                }
                part.clear();
                continue;
            }
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            _ => {}
        }
        part.push(c);
    }
    pairs
}

/// Whole epochs if that is what was asked for, else steps.
fn duration(books: &mut Ledger) {
    let steps = books.number("ss_max_train_steps");
    let epochs = books.number("ss_num_epochs");
    let batches = books.number("ss_num_batches_per_epoch");
    let accumulation = books.given("gradient_accumulation_steps").unwrap_or(1.0);
    let Some(steps) = steps else { return };
    match (epochs, batches) {
        (Some(epochs), Some(batches)) if (batches / accumulation).ceil() * epochs == steps => {
            books.give("max_train_epochs", epochs);
        }
        _ => books.give("max_train_steps", steps),
    }
}

fn depending(books: &mut Ledger) {
    let kind = books.text("ss_loss_type").filter(|kind| kind != "l2").unwrap_or_default();
    let multires = books.given("multires_noise_iterations").is_some();
    for (option, key, needs) in DEPENDENT {
        let met = match needs {
            "huber" => ["huber", "smooth_l1"].contains(&kind.as_str()),
            "multires" => multires,
            _ => false,
        };
        if option == "loss_type" && !kind.is_empty() {
            books.give(option, &kind);
        } else if met {
            books.copy(key, option);
        }
    }
}
