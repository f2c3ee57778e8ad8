//! What a file is and what its training tells: everything that `lorabake inspect` shows. Reads headers only, unless
//! the file is small or its hashes are asked for.

mod adapter;
mod block;
mod change;
mod hosts;
mod training_info;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::checkpoint::{Prediction, diffusers_folder};
use crate::file_kind::{self, FileKind};
use crate::formats::npz::Npz;
use crate::formats::tensor_file::TensorFile;
use crate::keys::{is_average, is_harmless, part_of};
use crate::lora::peft;
use crate::metadata::hashes::{self, FileHashes};
use crate::tensors::Tensors;
use crate::{Error, keys};

pub use adapter::{AdapterReport, BlockReport, Change};
pub use hosts::Ignored;
pub use training_info::ImageFolder;

/// Files up to this size are hashed, and the changes of a LoRA measured, without being asked.
const QUICK: u64 = 512 << 20;
/// The file inside a folder of a run's state.
const STATE: &str = "lorabake_state.safetensors";

/// All that is known of a file or folder.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Its path as given.
    pub file: String,
    /// What it is.
    pub kind: FileKind,
    /// Which models it belongs to, as far as names and shapes tell.
    pub family: Option<String>,
    /// `epsilon`, `v` or `v, zero terminal SNR`, if it says so.
    pub prediction: Option<String>,
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
    /// Of a LoRA: algorithm, networks, ranks.
    pub adapter: Option<AdapterReport>,
    /// Its training in words: what, value; of a textual inversion its vectors, too.
    pub training: Vec<(String, String)>,
    /// The image folders of its training.
    pub folders: Vec<ImageFolder>,
    /// Tags of its captions with their numbers, the most frequent first.
    pub tags: Vec<(String, u64)>,
    /// Hashes by the names under which web UIs show them.
    pub hashes: Vec<(String, String)>,
    /// What other programs leave unused.
    pub ignored: Vec<Ignored>,
    /// Names that nobody knows.
    pub unknown: Vec<String>,
    /// The recipe that lorabake kept in it.
    pub recipe: Option<String>,
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
        let folder = diffusers_folder::open(path)?;
        let mut report = about(path, FileKind::Checkpoint, &folder.tensors);
        report.prediction = report.prediction.or(folder.prediction.map(prediction_name));
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
    report.bytes = size.unwrap_or(report.bytes);
    let read = |source| Error::Read { file: path.display().to_string(), source };
    let found = if whole { Some(FileHashes::of(&path).map_err(read)?) } else { None };
    let quick = hashes::ModelHashes::legacy_of(&path).map_err(read)?;
    report.hashes = training_info::hashes(plain.metadata(), found.as_ref(), &quick);
    Ok(report)
}

/// What tensors and metadata tell.
fn about(path: &Path, kind: FileKind, tensors: &Tensors) -> FileReport {
    let mut dtypes = BTreeMap::new();
    let (mut parameters, mut bits) = (0u64, 0u64);
    for name in tensors.names() {
        let count = tensors.shape(name).unwrap_or_default().iter().map(|extent| *extent as u64).product::<u64>();
        parameters += count;
        if let Some(dtype) = tensors.dtype(name) {
            bits += count * dtype.bitsize() as u64;
            *dtypes.entry(format!("{dtype:?}")).or_insert(0) += 1;
        }
    }
    let metadata = tensors.metadata();
    let mut training = training_info::training(metadata);
    if kind == FileKind::Embedding {
        training.splice(..0, training_info::embedding(tensors));
    }
    FileReport {
        file: path.display().to_string(),
        kind,
        family: file_kind::family(kind, tensors).or_else(|| training_info::family(metadata)),
        prediction: prediction(kind, tensors),
        bytes: bits / 8,
        tensors: tensors.names().len(),
        parameters,
        dtypes,
        averages: tensors.names().iter().filter(|name| is_average(name)).count(),
        adapter: None,
        training,
        folders: training_info::folders(metadata),
        tags: training_info::tags(metadata),
        hashes: Vec::new(),
        ignored: Vec::new(),
        unknown: unknown(kind, tensors),
        recipe: metadata.get("lorabake_recipe").cloned(),
    }
}

/// Names that no part of such a file has.
fn unknown(kind: FileKind, tensors: &Tensors) -> Vec<String> {
    let stranger = |name: &&String| match kind {
        FileKind::Checkpoint => part_of(name).is_none() && !is_harmless(name),
        FileKind::Adapter => {
            !name.starts_with("lora_") && !name.starts_with("bundle_emb.") && !name.starts_with("lycoris_")
        }
        _ => false,
    };
    tensors.names().iter().filter(stranger).cloned().collect()
}

fn prediction(kind: FileKind, tensors: &Tensors) -> Option<String> {
    let zero_terminal_snr = tensors.shape(keys::ZERO_TERMINAL_SNR).is_some();
    if kind == FileKind::Checkpoint && (zero_terminal_snr || tensors.shape(keys::V_PRED).is_some()) {
        return Some(prediction_name(Prediction::V { zero_terminal_snr }));
    }
    training_info::prediction(tensors.metadata()).map(prediction_name)
}

fn prediction_name(prediction: Prediction) -> String {
    match prediction {
        Prediction::Epsilon => "epsilon",
        Prediction::V { zero_terminal_snr: false } => "v",
        Prediction::V { zero_terminal_snr: true } => "v, zero terminal SNR",
    }
    .to_string()
}

/// A file of latents beside an image.
fn latents(path: &Path) -> Result<FileReport, Error> {
    let file = Npz::read(path)?;
    let mut report = about(path, FileKind::Latents, &Tensors::empty(&path.display().to_string()));
    let shape = |name: &str| {
        let floats = file.get::<f32>(name).map(|array| array.shape);
        floats.or_else(|| file.get::<i32>(name).map(|array| array.shape))
    };
    for name in file.names() {
        report
            .training
            .push((name.to_string(), shape(name).map_or("other numbers".into(), |shape| format!("{shape:?}"))));
    }
    report.tensors = file.names().count();
    report.bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    Ok(report)
}
