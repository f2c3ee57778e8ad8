//! What metadata says of a training: sd-scripts' `ss_*`, Stability's `modelspec.*`, and the hashes by which web UIs know a
//! file.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::metadata::hashes::FileHashes;
use crate::tensors::Tensors;

/// A folder of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageFolder {
    /// The folder's name.
    pub name: String,
    /// Uses of each image per epoch.
    pub repeats: u64,
    /// Number of images in the folder.
    pub images: u64,
    /// Whether its images regularize.
    pub regularization: bool,
}

/// Something that metadata says, by one value or by several that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is; of several values ` / ` stands between their names.
    pub what: &'static str,
    /// The values as the file spells them; `None` where one of several is missing.
    pub values: Vec<Option<String>>,
}

/// Vectors of a textual inversion, each of which stands for one token of the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vectors {
    /// The text encoder that they are for, where the file names it.
    pub encoder: Option<&'static str>,
    /// How many there are.
    pub count: usize,
    /// Numbers in each.
    pub width: usize,
}

/// Hashes by which web UIs and galleries know a file, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hashes {
    /// The first eight digits of the SHA-256 of a few bytes in the middle (AutoV1).
    pub legacy: String,
    /// SHA-256 of the whole file, if it was read; its first ten digits are AutoV2.
    pub sha256: Option<String>,
    /// SHA-256 of a safetensors file's bytes behind its header, if it was read; its first twelve digits are AutoV3.
    pub tensors: Option<String>,
    /// `sshs_model_hash`: what the program that wrote the file says that `tensors` is.
    pub recorded_tensors: Option<String>,
    /// `sshs_legacy_hash`, which that program wrote beside it.
    pub recorded_legacy: Option<String>,
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

/// What is shown of a state from which a training goes on; their keys are lorabake's own.
const STATE: [(&str, &[&str]); 4] =
    [("step", &["step"]), ("epoch", &["epoch"]), ("batches per epoch", &["batches_per_epoch"]), ("seed", &["seed"])];

/// A value that says something.
fn said<'m>(metadata: &'m Metadata, key: &str) -> Option<&'m str> {
    metadata.get(key).map(String::as_str).filter(|value| !["", "None", "null", "(unknown)"].contains(value))
}

/// The facts of [`TRAINING`] of which the metadata has at least one value.
pub(super) fn training(metadata: &Metadata) -> Vec<Fact> {
    facts(&TRAINING, metadata)
}

/// Where a training stood when its state was saved.
pub(super) fn state(metadata: &Metadata) -> Vec<Fact> {
    facts(&STATE, metadata)
}

fn facts(table: &[(&'static str, &[&str])], metadata: &Metadata) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (what, keys) in table {
        let mut values: Vec<Option<String>> = Vec::new();
        for key in *keys {
            values.push(said(metadata, key).map(str::to_string));
        }
        if values.iter().any(Option::is_some) {
            facts.push(Fact { what, values });
        }
    }
    facts
}

/// How long the training took, in seconds.
pub(super) fn seconds(metadata: &Metadata) -> Option<f64> {
    let started: f64 = said(metadata, "ss_training_started_at")?.parse().ok()?;
    let finished: f64 = said(metadata, "ss_training_finished_at")?.parse().ok()?;
    Some(finished - started)
}

/// The vectors of a textual inversion.
pub(super) fn vectors(tensors: &Tensors) -> Vec<Vectors> {
    let mut all = Vec::new();
    for name in tensors.names() {
        let Some([counts @ .., width]) = tensors.shape(name) else { continue };
        let encoder = ["clip_l", "clip_g", "t5xxl"].into_iter().find(|encoder| encoder == name);
        all.push(Vectors { encoder, count: counts.iter().product(), width: *width });
    }
    all
}

/// What the web UI keeps beside the vectors of a textual inversion in a `.pt`.
pub(super) fn embedding(metadata: &Metadata) -> Vec<Fact> {
    const FACTS: [(&str, &[&str]); 3] =
        [("name", &["name"]), ("trained steps", &["step"]), ("base model", &["sd_checkpoint_name", "sd_checkpoint"])];
    let mut facts = Vec::new();
    for (what, keys) in FACTS {
        let mut values = Vec::new();
        for key in keys {
            if let Some(value) = said(metadata, key) {
                values.push(Some(value.to_string()));
            }
        }
        if !values.is_empty() {
            facts.push(Fact { what, values });
        }
    }
    facts
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

/// The image folders.
pub(super) fn folders(metadata: &Metadata) -> Vec<ImageFolder> {
    let mut folders = Vec::new();
    for (key, regularization) in [("ss_dataset_dirs", false), ("ss_reg_dataset_dirs", true)] {
        let Some(text) = metadata.get(key) else { continue };
        let Ok(dirs) = serde_json::from_str::<BTreeMap<String, Value>>(text) else { continue };
        for (name, about) in dirs {
            let repeats = about["n_repeats"].as_u64().unwrap_or(1);
            let images = about["img_count"].as_u64().unwrap_or(0);
            folders.push(ImageFolder { name, repeats, images, regularization });
        }
    }
    folders
}

/// Tags of all folders, the most frequent first.
pub(super) fn tags(metadata: &Metadata) -> Vec<(String, u64)> {
    let Some(text) = metadata.get("ss_tag_frequency") else { return Vec::new() };
    let Ok(folders) = serde_json::from_str::<BTreeMap<String, BTreeMap<String, u64>>>(text) else { return Vec::new() };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (tag, count) in folders.into_values().flatten() {
        *counts.entry(tag.trim().to_string()).or_insert(0) += count;
    }
    let mut tags: Vec<(String, u64)> = counts.into_iter().collect();
    tags.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    tags
}

/// The hashes of a file: `found` by reading all of it, if it was read, `legacy` by reading a little, and those that its
/// metadata has.
pub(super) fn hashes(metadata: &Metadata, found: Option<FileHashes>, legacy: String) -> Hashes {
    let mut hashes = Hashes {
        legacy,
        sha256: None,
        tensors: None,
        recorded_tensors: said(metadata, "sshs_model_hash").map(str::to_string),
        recorded_legacy: said(metadata, "sshs_legacy_hash").map(str::to_string),
    };
    if let Some(found) = found {
        hashes.sha256 = Some(found.sha256);
        hashes.tensors = found.tensors;
    }
    hashes
}
