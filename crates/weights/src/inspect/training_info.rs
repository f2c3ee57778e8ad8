//! Metadata in words: sd-scripts' `ss_*`, Stability's `modelspec.*`, and the hashes by which web UIs know a file.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::checkpoint::Prediction;
use crate::metadata::hashes::FileHashes;
use crate::tensors::Tensors;

/// A folder of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageFolder {
    /// Its name.
    pub name: String,
    /// Uses of each image per epoch.
    pub repeats: u64,
    /// Its images.
    pub images: u64,
    /// Whether it regularizes.
    pub regularization: bool,
}

type Metadata = BTreeMap<String, String>;

/// What is shown of a training, and from which keys, in their order.
const TRAINING: [(&str, &[&str]); 24] = [
    ("title", &["modelspec.title"]),
    ("name", &["ss_output_name"]),
    ("comment", &["ss_training_comment"]),
    ("date", &["modelspec.date"]),
    ("base model", &["ss_sd_model_name", "ss_sd_model_hash"]),
    ("base version", &["ss_base_model_version"]),
    ("VAE", &["ss_vae_name", "ss_vae_hash"]),
    ("network", &["ss_network_module", "ss_network_args"]),
    ("rank / alpha", &["ss_network_dim", "ss_network_alpha"]),
    ("epoch / of", &["ss_epoch", "ss_num_epochs"]),
    ("steps / of", &["ss_steps", "ss_max_train_steps"]),
    ("images / regularization", &["ss_num_train_images", "ss_num_reg_images"]),
    ("batch size", &["ss_total_batch_size"]),
    ("resolution", &["ss_resolution"]),
    ("learning rate", &["ss_learning_rate"]),
    ("UNet / text encoder", &["ss_unet_lr", "ss_text_encoder_lr"]),
    ("schedule / warmup", &["ss_lr_scheduler", "ss_lr_warmup_steps"]),
    ("optimizer", &["ss_optimizer"]),
    ("precision", &["ss_mixed_precision"]),
    ("clip skip", &["ss_clip_skip"]),
    ("noise offset", &["ss_noise_offset"]),
    ("Min-SNR gamma", &["ss_min_snr_gamma"]),
    ("seed", &["ss_seed"]),
    ("by", &["modelspec.implementation_version", "modelspec.author"]),
];

/// A value that says something.
fn said<'m>(metadata: &'m Metadata, key: &str) -> Option<&'m str> {
    metadata.get(key).map(String::as_str).filter(|value| !["", "None", "null", "(unknown)"].contains(value))
}

/// The training in words.
pub(super) fn training(metadata: &Metadata) -> Vec<(String, String)> {
    let row = |(what, keys): &(&str, &[&str])| {
        let values: Vec<Option<&str>> = keys.iter().map(|key| said(metadata, key)).collect();
        // Where the name promises two values, a missing one has to keep its place.
        let gap = what.contains(" / ").then_some("-");
        let shown: Vec<&str> = values.iter().filter_map(|value| value.or(gap)).collect();
        values.iter().any(Option::is_some).then(|| (what.to_string(), shown.join(" / ")))
    };
    let mut rows: Vec<(String, String)> = TRAINING.iter().filter_map(row).collect();
    let seconds = |key| said(metadata, key).and_then(|time| time.parse::<f64>().ok());
    if let (Some(from), Some(to)) = (seconds("ss_training_started_at"), seconds("ss_training_finished_at")) {
        rows.push(("took".into(), format!("{:.0} s", to - from)));
    }
    rows
}

/// What a textual inversion tells of itself: its vectors, each of which stands for one token of the prompt, and what the
/// web UI keeps in a `.pt`.
pub(super) fn embedding(tensors: &Tensors) -> Vec<(String, String)> {
    let vectors = |name: &String| {
        let (width, counts) = tensors.shape(name)?.split_last()?;
        let network = if ["clip_l", "clip_g", "t5xxl"].contains(&name.as_str()) { &format!(" for {name}") } else { "" };
        Some(("vectors".to_string(), format!("{} of {width} numbers{network}", counts.iter().product::<usize>())))
    };
    let mut rows: Vec<(String, String)> = tensors.names().iter().filter_map(vectors).collect();
    for (what, keys) in [
        ("name", ["name", ""]),
        ("trained steps", ["step", ""]),
        ("base model", ["sd_checkpoint_name", "sd_checkpoint"]),
    ] {
        let values: Vec<&str> = keys.iter().filter_map(|key| said(tensors.metadata(), key)).collect();
        if !values.is_empty() {
            rows.push((what.into(), values.join(" / ")));
        }
    }
    rows
}

/// The family that the metadata names.
pub(super) fn family(metadata: &Metadata) -> Option<String> {
    let version = said(metadata, "ss_base_model_version").or_else(|| said(metadata, "modelspec.architecture"))?;
    let name = match version {
        _ if version.starts_with("sd_v1") || version.starts_with("stable-diffusion-v1") => "Stable Diffusion 1.x",
        _ if version.starts_with("sd_v2") || version.starts_with("stable-diffusion-v2") => "Stable Diffusion 2.x",
        _ if version.starts_with("sdxl") || version.starts_with("stable-diffusion-xl") => "SDXL base",
        _ => version,
    };
    Some(name.to_string())
}

/// What the metadata says that the UNet predicts.
pub(super) fn prediction(metadata: &Metadata) -> Option<Prediction> {
    let zero_terminal_snr = said(metadata, "ss_zero_terminal_snr") == Some("True");
    let v = Prediction::V { zero_terminal_snr };
    match said(metadata, "modelspec.prediction_type") {
        Some("v" | "v_prediction") => return Some(v),
        Some("epsilon") => return Some(Prediction::Epsilon),
        _ => {}
    }
    match said(metadata, "ss_base_model_version")? {
        version if version.ends_with("_v") => Some(v),
        "sd_v1" | "sd_v2" => Some(Prediction::Epsilon),
        _ => None,
    }
}

/// The image folders.
pub(super) fn folders(metadata: &Metadata) -> Vec<ImageFolder> {
    let mut folders = Vec::new();
    for (key, regularization) in [("ss_dataset_dirs", false), ("ss_reg_dataset_dirs", true)] {
        let all: Option<BTreeMap<String, Value>> = metadata.get(key).and_then(|text| serde_json::from_str(text).ok());
        folders.extend(all.into_iter().flatten().map(|(name, about)| ImageFolder {
            name,
            repeats: about["n_repeats"].as_u64().unwrap_or(1),
            images: about["img_count"].as_u64().unwrap_or(0),
            regularization,
        }));
    }
    folders
}

/// Tags of all folders, the most frequent first.
pub(super) fn tags(metadata: &Metadata) -> Vec<(String, u64)> {
    let read = |text: &String| serde_json::from_str::<BTreeMap<String, BTreeMap<String, u64>>>(text).ok();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (tag, count) in metadata.get("ss_tag_frequency").and_then(read).into_iter().flatten().flat_map(|(_, tags)| tags)
    {
        *counts.entry(tag.trim().to_string()).or_insert(0) += count;
    }
    let mut tags: Vec<(String, u64)> = counts.into_iter().collect();
    tags.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    tags
}

/// Hashes by the names that web UIs and galleries have for them; `legacy` is that of the file.
pub(super) fn hashes(metadata: &Metadata, found: Option<&FileHashes>, legacy: &str) -> Vec<(String, String)> {
    let mut rows = vec![("AutoV1".to_string(), legacy.to_string())];
    if let Some(found) = found {
        rows.push(("AutoV2".into(), found.sha256[..10].to_string()));
        rows.push(("SHA-256".into(), found.sha256.clone()));
    }
    if let Some(kept) = said(metadata, "sshs_model_hash") {
        let agrees = match found.and_then(|found| found.tensors.as_deref()) {
            Some(own) if own == kept => "; the tensors agree with it",
            Some(_) => "; the tensors differ: they were changed since",
            None => "",
        };
        rows.push(("sshs_model_hash".into(), format!("{kept}{agrees}")));
        rows.push(("web UI's LoRA hash".into(), kept.chars().take(12).collect()));
    } else if let Some(own) = found.and_then(|found| found.tensors.as_deref()) {
        rows.push(("AutoV3".into(), own[..12].to_string()));
    }
    if let Some(kept) = said(metadata, "sshs_legacy_hash") {
        rows.push(("sshs_legacy_hash".into(), kept.to_string()));
    }
    rows
}
