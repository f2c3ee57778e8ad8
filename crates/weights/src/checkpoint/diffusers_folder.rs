//! A model as a folder that diffusers saved: one folder inside for each network; found, opened, renamed.
//!
//! Layout: diffusers' `DiffusionPipeline.save_pretrained`; names of files: `diffusers/utils/constants.py` and
//! `transformers/utils/__init__.py`. Of several versions of a network the one without a variant in its name counts, then
//! fp16, then bf16; of several formats safetensors. Settings are read for what tensors do not tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_recipe::text_file;
use serde_json::Value;

use super::prediction::Prediction;
use crate::Error;
use crate::file_kind::relatives::{self, Relative};
use crate::formats::tensor_file::TensorFile;
use crate::keys::diffusers::checkpoint_keys;
use crate::keys::{Part, encodes_images};
use crate::tensors::Tensors;

/// The file that makes a folder a model.
const INDEX: &str = "model_index.json";
/// Longest file of settings that is read.
const MAX_JSON: u64 = 1 << 26;
/// What the files of a network are called before variant and suffix.
const STEMS: [&str; 3] = ["diffusion_pytorch_model", "model", "pytorch_model"];
/// Variants in the order in which they are taken.
const VARIANTS: [&str; 5] = ["", "fp16", "bf16", "fp32", "non_ema"];

/// An open folder.
#[derive(Debug)]
pub(crate) struct DiffusersFolder {
    /// The tensors under the keys of a checkpoint.
    pub tensors: Tensors,
    /// What the settings say that the model is.
    pub family: Family,
    /// What the scheduler says that the UNet predicts.
    pub prediction: Option<Prediction>,
}

/// Whether `dir` is the folder of a whole model.
pub(crate) fn is_model(dir: &Path) -> bool {
    dir.join(INDEX).is_file()
}

/// Opens the folder of a whole model; without its VAE if that comes from elsewhere.
///
/// # Errors
/// When a network is missing, or one of its files; when the folder is another one.
pub(crate) fn open(dir: &Path, other_vae: bool) -> Result<DiffusersFolder, Error> {
    if !is_model(dir) {
        return Err(no_model(dir));
    }
    let index = json(&dir.join(INDEX))?;
    let class = index["_class_name"].as_str().unwrap_or_default();
    let family = family(dir, class)?;
    let scheduler = scheduler(dir)?;
    if let Some(reason) = other_schedule(&scheduler, class, family) {
        return Err(wrong(dir, reason));
    }
    let mut tensors = Tensors::empty(&dir.display().to_string());
    for part in Part::of(family).iter().filter(|part| **part != Part::Vae || !other_vae) {
        add_network(&mut tensors, &dir.join(folder_of(*part)), *part, family)?;
    }
    Ok(DiffusersFolder { tensors, family, prediction: prediction(dir, &scheduler)? })
}

/// The VAE in `dir`, which is its own folder or that of a model; its tensors have the keys of a checkpoint.
///
/// # Errors
/// As for [`open`].
pub(crate) fn open_vae(dir: &Path) -> Result<Tensors, Error> {
    let inside = dir.join(folder_of(Part::Vae));
    let place = if is_model(dir) || inside.is_dir() { inside } else { dir.to_path_buf() };
    let mut tensors = Tensors::empty(&dir.display().to_string());
    // The keys of a VAE are the same in all families.
    add_network(&mut tensors, &place, Part::Vae, Family::Sd1)?;
    if !tensors.names().iter().any(|name| encodes_images(name)) {
        return Err(wrong(&place, "it is no VAE; give the folder of a VAE, or of a model that has one"));
    }
    Ok(tensors)
}

/// The folder of a part, inside that of the model.
fn folder_of(part: Part) -> &'static str {
    match part {
        Part::Unet => "unet",
        Part::Vae => "vae",
        Part::TextEncoder => "text_encoder",
        Part::TextEncoder2 => "text_encoder_2",
    }
}

/// Why `dir` is not the folder of a model.
fn no_model(dir: &Path) -> Error {
    if let Some(above) = dir.parent()
        && is_model(above)
    {
        return wrong(dir, format!("it is one part of a model; give the folder of the whole, {}", above.display()));
    }
    if let Ok(mut inside) = std::fs::read_dir(dir.join("snapshots"))
        && let Some(Ok(snapshot)) = inside.next()
    {
        return wrong(dir, format!("it is a folder of the hub's cache; give {}", snapshot.path().display()));
    }
    let reason = format!("it is a folder without {INDEX}; give a checkpoint file, or a folder that diffusers saved");
    wrong(dir, reason)
}

fn wrong(path: &Path, reason: impl Into<String>) -> Error {
    Error::WrongKind { file: path.display().to_string(), reason: reason.into() }
}

/// A file of settings.
fn json(path: &Path) -> Result<Value, Error> {
    let read = |source| Error::Read { file: path.display().to_string(), source };
    if std::fs::metadata(path).map_err(read)?.len() > MAX_JSON {
        return Err(wrong(path, "it is far too large for a file of settings; download it again"));
    }
    let text = text_file::decode(std::fs::read(path).map_err(read)?);
    let text = text.map_err(|encoding| wrong(path, format!("it is {encoding}; save it as UTF-8")))?;
    let value = serde_json::from_str(&text);
    value.map_err(|cause| wrong(path, format!("it is no JSON ({cause}); download or copy it again")))
}

/// What kind of model it is; `class` is that of its pipeline.
fn family(dir: &Path, class: &str) -> Result<Family, Error> {
    let has = |part| dir.join(folder_of(part)).is_dir();
    if let Some(relative) = relatives::of_pipeline(class) {
        return Err(wrong(dir, relative.refusal()));
    }
    if class.contains("XL") && has(Part::TextEncoder2) && !has(Part::TextEncoder) {
        return Err(wrong(dir, "it is the SDXL refiner; use the base model, SDXL"));
    }
    if !has(Part::Unet) && dir.join("transformer").is_dir() {
        let reason = format!("it is a {class} without a UNet; only SD1.x, SD2.x and SDXL are supported");
        return Err(wrong(dir, reason));
    }
    if class.contains("XL") || has(Part::TextEncoder2) {
        return Ok(Family::Sdxl);
    }
    // OpenCLIP's encoder of SD2.x is told by its activation.
    let settings = dir.join(folder_of(Part::TextEncoder)).join("config.json");
    let open_clip = settings.is_file() && json(&settings)?["hidden_act"] == "gelu";
    Ok(if open_clip { Family::Sd2 } else { Family::Sd1 })
}

/// The file with the settings of the scheduler.
fn scheduler_file(dir: &Path) -> PathBuf {
    dir.join("scheduler").join("scheduler_config.json")
}

/// The settings of the scheduler; `null` if the folder has none.
fn scheduler(dir: &Path) -> Result<Value, Error> {
    let path = scheduler_file(dir);
    if path.is_file() { json(&path) } else { Ok(Value::Null) }
}

/// Why a model with this scheduler was trained with another noise schedule than ours, if so; `class` is that of its
/// pipeline.
fn other_schedule(scheduler: &Value, class: &str, family: Family) -> Option<String> {
    let name = scheduler["_class_name"].as_str()?;
    let is_edm = name.starts_with("EDM");
    if !is_edm && !name.starts_with("FlowMatch") {
        return None;
    }
    let is_v = match scheduler["prediction_type"].as_str() {
        Some(prediction) => prediction == "v_prediction",
        None => name.starts_with("EDMEuler"),
    };
    let relative = match (is_v, class.contains("InstructPix2Pix")) {
        _ if !is_edm || family != Family::Sdxl => None,
        (true, true) => relatives::of_name("SDXL, CosXL edit"),
        (true, false) => relatives::of_name("SDXL, CosXL"),
        (false, _) => relatives::of_name("SDXL, Playground v2.5"),
    };
    let unnamed = || format!("it was trained with another noise schedule ({name}); use the base model");
    Some(relative.map_or_else(unnamed, Relative::refusal))
}

/// What the scheduler with these settings says.
fn prediction(dir: &Path, scheduler: &Value) -> Result<Option<Prediction>, Error> {
    match scheduler["prediction_type"].as_str() {
        None => Ok(None),
        Some("epsilon") => Ok(Some(Prediction::Epsilon)),
        Some("v_prediction") => {
            Ok(Some(Prediction::V { zero_terminal_snr: scheduler["rescale_betas_zero_snr"] == true }))
        }
        Some(other) => {
            let reason = format!("prediction_type {other} is not supported; epsilon and v_prediction are");
            Err(wrong(&scheduler_file(dir), reason))
        }
    }
}

/// Adds the tensors of the network in the folder `dir`.
fn add_network(tensors: &mut Tensors, dir: &Path, part: Part, family: Family) -> Result<(), Error> {
    if !dir.is_dir() {
        let or_vae = if part == Part::Vae { ", or give one by --vae FILE" } else { "" };
        return Err(wrong(dir, format!("this folder is missing: the model has no {part}; download it whole{or_vae}")));
    }
    let mut files = Vec::new();
    for path in weights(dir, part)? {
        files.push(TensorFile::open(&path)?);
    }
    let names: Vec<String> = files.iter().flat_map(TensorFile::names).collect();
    let names = checkpoint_keys(part, family, &names.iter().map(String::as_str).collect::<Vec<_>>());
    for file in files {
        tensors.add(file, names.clone());
    }
    Ok(())
}

/// The files with the weights of the network in `dir`: one, or the pieces that an index names.
fn weights(dir: &Path, part: Part) -> Result<Vec<PathBuf>, Error> {
    for suffix in ["safetensors", "bin"] {
        for variant in VARIANTS {
            let variant = if variant.is_empty() { String::new() } else { format!(".{variant}") };
            for stem in STEMS {
                let whole = dir.join(format!("{stem}{variant}.{suffix}"));
                if whole.is_file() {
                    return Ok(vec![whole]);
                }
                let index = dir.join(format!("{stem}.{suffix}.index{variant}.json"));
                if index.is_file() {
                    return pieces(dir, &index);
                }
            }
        }
    }
    let reason = format!(
        "it has no weights of the {part} (diffusion_pytorch_model or model, .safetensors or .bin); download it whole"
    );
    Err(wrong(dir, reason))
}

/// The files that an index names, each once.
fn pieces(dir: &Path, index: &Path) -> Result<Vec<PathBuf>, Error> {
    let settings = json(index)?;
    let no_names = || wrong(index, "it names no files of weights; download it again");
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for name in settings["weight_map"].as_object().ok_or_else(no_names)?.values() {
        names.insert(name.as_str().ok_or_else(no_names)?);
    }
    if names.is_empty() {
        return Err(no_names());
    }
    // A name that leads elsewhere is refused before any file is looked for.
    for name in &names {
        if Path::new(name).file_name().is_none_or(|own| own != *name) {
            let reason = format!("it names {name}, which is not beside it; get the model from a place you trust");
            return Err(wrong(index, reason));
        }
    }
    let mut paths = Vec::new();
    for name in names {
        let path = dir.join(name);
        if !path.is_file() {
            let reason = format!("this file is missing, and {} needs it; download it", index.display());
            return Err(wrong(&path, reason));
        }
        paths.push(path);
    }
    Ok(paths)
}
