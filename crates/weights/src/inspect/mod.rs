//! What a file is and what it says of its training: everything that `lorabake inspect` shows, as plain data. Reads headers
//! only, unless the file is small or its hashes are asked for.

mod adapter;
mod block;
mod change;
mod hosts;
mod training_info;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::checkpoint::{Prediction, diffusers_folder};
use crate::file_kind::{self, FileKind};
use crate::formats::npz::Npz;
use crate::formats::tensor_file::TensorFile;
use crate::keys::{is_average, is_harmless, part_of};
use crate::lora::peft;
use crate::metadata::hashes::{FileHashes, ModelHashes};
use crate::tensors::Tensors;

pub use adapter::{AdapterReport, BlockReport, Change};
pub use hosts::{Ignored, Unused};
pub use training_info::{Fact, Hashes, ImageFolder, Vectors};

/// Files up to this size are hashed, and the changes of a LoRA measured, without being asked.
const QUICK: u64 = 512 << 20;
/// The file inside a folder of a run's state.
const STATE: &str = "lorabake_state.safetensors";

/// All that is known of a file or folder.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// The path as given.
    pub file: String,
    /// What it is.
    pub kind: FileKind,
    /// Which models it belongs to, as far as names and shapes tell.
    pub family: Option<String>,
    /// What its UNet predicts, if it says so.
    pub prediction: Option<Prediction>,
    /// Bytes on disk; of a folder, those of the tensors.
    pub bytes: u64,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of values.
    pub parameters: u64,
    /// Type of numbers → number of tensors.
    pub dtypes: BTreeMap<String, usize>,
    /// Tensors of averages (EMA).
    pub averages: usize,
    /// Algorithm, networks and ranks of a LoRA.
    pub adapter: Option<AdapterReport>,
    /// Vectors of a textual inversion.
    pub vectors: Vec<Vectors>,
    /// Arrays of a file of latents.
    pub arrays: Vec<LatentArray>,
    /// What is said of its training.
    pub training: Vec<Fact>,
    /// How long its training took.
    pub training_seconds: Option<f64>,
    /// The image folders of its training.
    pub folders: Vec<ImageFolder>,
    /// Tags of its captions with their numbers, the most frequent first.
    pub tags: Vec<(String, u64)>,
    /// Hashes of a file; a folder has none.
    pub hashes: Option<Hashes>,
    /// What other programs leave unused.
    pub ignored: Vec<Ignored>,
    /// Names that nobody knows.
    pub unknown: Vec<String>,
    /// The recipe that lorabake kept in it: of a merge, or of a training.
    pub recipe: Option<String>,
}

/// An array in a file of latents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LatentArray {
    /// The array's name.
    pub name: String,
    /// Length of each axis; `None` for numbers of a type that latents do not use.
    pub shape: Option<Vec<usize>>,
}

/// Looks at the file or folder at `path`; `hash` also hashes large files, and measures large LoRAs.
///
/// # Errors
/// When it cannot be read, or is no file of tensors; the message says what it looks like.
pub fn inspect(path: &Path, hash: bool) -> Result<FileReport, Error> {
    if path.extension().is_some_and(|suffix| suffix == "npz") {
        return latents(path);
    }
    if path.is_dir() && !path.join(STATE).is_file() {
        let folder = diffusers_folder::open(path, false)?;
        let mut report = about(path, FileKind::Checkpoint, &folder.tensors);
        report.prediction = report.prediction.or(folder.prediction);
        return Ok(report);
    }
    let path: PathBuf = if path.is_dir() { path.join(STATE) } else { path.to_path_buf() };
    let plain: Tensors = TensorFile::open(&path)?.into();
    let kind = file_kind::kind(&plain);
    let size = std::fs::metadata(&path).map(|about| about.len()).ok();
    let whole = hash || size.is_some_and(|size| size <= QUICK);
    let mut report = if kind == FileKind::Adapter {
        let named = peft::with_kohya_names(TensorFile::open(&path)?, &path);
        let mut report = about(&path, kind, &named.tensors);
        let adapter = adapter::adapter(&named, plain.names(), whole);
        report.ignored = hosts::ignored(&adapter, &named.tensors);
        report.adapter = Some(adapter);
        report
    } else {
        about(&path, kind, &plain)
    };
    if kind == FileKind::Checkpoint {
        report.prediction = report.prediction.or_else(|| Prediction::beside(&path));
    }
    report.bytes = size.unwrap_or(report.bytes);
    let unreadable = |source| Error::Read { file: path.display().to_string(), source };
    let legacy = ModelHashes::legacy_of(&path).map_err(unreadable)?;
    let found = if whole { Some(FileHashes::of(&path).map_err(unreadable)?) } else { None };
    report.hashes = Some(training_info::hashes(plain.metadata(), found, legacy));
    Ok(report)
}

/// What tensors and metadata tell.
fn about(path: &Path, kind: FileKind, tensors: &Tensors) -> FileReport {
    let mut dtypes = BTreeMap::new();
    let mut parameters = 0_u64;
    let mut bits = 0_u64;
    for name in tensors.names() {
        let extents = tensors.shape(name).unwrap_or_default().iter();
        let count = extents.fold(1_u64, |count, extent| count.saturating_mul(*extent as u64));
        parameters = parameters.saturating_add(count);
        if let Some(dtype) = tensors.dtype(name) {
            bits = bits.saturating_add(count.saturating_mul(dtype.bitsize() as u64));
            *dtypes.entry(format!("{dtype:?}")).or_insert(0) += 1;
        }
    }
    let metadata = tensors.metadata();
    let mut training = Vec::new();
    let mut vectors = Vec::new();
    if kind == FileKind::Embedding {
        vectors = training_info::vectors(tensors);
        training = training_info::embedding(metadata);
    }
    if kind == FileKind::State {
        training = training_info::state(metadata);
    }
    training.extend(training_info::training(metadata));
    FileReport {
        file: path.display().to_string(),
        kind,
        family: file_kind::family(kind, tensors).or_else(|| training_info::family(metadata)),
        prediction: Prediction::of(tensors),
        bytes: bits / 8,
        tensors: tensors.names().len(),
        parameters,
        dtypes,
        averages: tensors.names().iter().filter(|name| is_average(name)).count(),
        adapter: None,
        vectors,
        arrays: Vec::new(),
        training,
        training_seconds: training_info::seconds(metadata),
        folders: training_info::folders(metadata),
        tags: training_info::tags(metadata),
        hashes: None,
        ignored: Vec::new(),
        unknown: unknown(kind, tensors),
        recipe: metadata.get("lorabake_merge").or_else(|| metadata.get("lorabake_recipe")).cloned(),
    }
}

/// Names that no part of such a file has.
fn unknown(kind: FileKind, tensors: &Tensors) -> Vec<String> {
    let known = |name: &str| match kind {
        FileKind::Checkpoint => part_of(name).is_some() || is_harmless(name),
        FileKind::Adapter => ["lora_", "bundle_emb.", "lycoris_"].iter().any(|start| name.starts_with(start)),
        _ => true,
    };
    tensors.names().iter().filter(|name| !known(name)).cloned().collect()
}

/// A file of latents beside an image.
fn latents(path: &Path) -> Result<FileReport, Error> {
    let file = Npz::read(path)?;
    let mut report = about(path, FileKind::Latents, &Tensors::empty(&path.display().to_string()));
    for name in file.names() {
        let floats = file.get::<f32>(name).map(|array| array.shape);
        let shape = floats.or_else(|| file.get::<i32>(name).map(|array| array.shape));
        report.arrays.push(LatentArray { name: name.to_string(), shape });
    }
    report.tensors = report.arrays.len();
    report.bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    Ok(report)
}
