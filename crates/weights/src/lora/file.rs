//! Reading a LoRA file: one [`LoraModule`] for every adapted layer, under kohya's name.
//!
//! Reads what sd-scripts' `networks.lora` and `networks.dylora` write, LyCORIS' LoCon, LoHa, LoKr and IA3, with DoRA, and
//! the LoRAs of diffusers and PEFT.
//! Other kinds of adapter are recognised by their tensors and named. Whether a module fits a model is for whoever
//! attaches it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use lorabake_recipe::model::Family;

use super::peft::{self, KohyaTensors};
use crate::Error;
use crate::file_kind::{self, FileKind};
use crate::formats::tensor_file::TensorFile;
use crate::tensors::Tensors;

/// A LoRA file, read whole.
#[derive(Debug, Clone)]
pub struct LoraFile {
    /// The file's text metadata.
    pub metadata: BTreeMap<String, String>,
    /// The adapted layers, sorted by name.
    pub modules: Vec<LoraModule>,
    /// What of the file could not be used, and why.
    pub problems: Vec<Problem>,
}

/// The adapter of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    /// Kohya's name, such as `lora_unet_mid_block_attentions_0_proj_in`.
    pub name: String,
    /// The kind that its tensors show.
    pub kind: &'static str,
    /// Its tensors by name, such as `lora_down.weight`, without `alpha` and `on_input`.
    pub tensors: BTreeMap<String, ModuleTensor>,
    /// `alpha`; the rank where the file has none.
    pub alpha: f32,
    /// `on_input` of IA3.
    pub on_input: Option<bool>,
}

/// Values with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleTensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Vec<f32>,
}

/// A key of the file that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, or the module if several keys are concerned.
    pub key: String,
    /// Why, in plain words.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

/// Kinds that we read: name, tensors that each has, and those that it may have.
const KINDS: [(&str, &[&str], &[&str]); 4] = [
    ("LoRA", &["lora_down.weight", "lora_up.weight"], &["lora_mid.weight"]),
    ("LoHa", &["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"], &["hada_t1", "hada_t2"]),
    ("LoKr", &[], &["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"]),
    ("IA3", &["weight", "on_input"], &[]),
];

/// Tensor suffixes of adapters that we cannot read yet, with the kind's name.
const FOREIGN: [(&str, &str); 10] = [
    ("oft_", "LyCORIS OFT"),
    ("rescale", "LyCORIS OFT"),
    ("a1.", "LyCORIS GLoRA"),
    ("a2.", "LyCORIS GLoRA"),
    ("b1.", "LyCORIS GLoRA"),
    ("b2.", "LyCORIS GLoRA"),
    ("bm.", "LyCORIS GLoRA"),
    ("diff", "LyCORIS full difference"),
    ("w_norm", "LyCORIS norm"),
    ("b_norm", "LyCORIS norm"),
];

impl LoraFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or when it has no module that we can use; the message then names what it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let KohyaTensors { tensors: file, alphas } = peft::with_kohya_names(TensorFile::open(path)?, path);
        let wrong = |reason: String| Error::WrongKind { file: file.label().to_string(), reason };
        let names = file.names();
        if let Some(reason) = refusal(&file) {
            return Err(wrong(reason));
        }
        let mut grouped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for key in names {
            match key.split_once('.') {
                Some((module, suffix)) if is_module(module) => grouped.entry(module).or_default().push(suffix),
                _ => problems.push(Problem {
                    key: key.clone(),
                    reason: "it is no name of a LoRA in kohya's or diffusers' naming".into(),
                }),
            }
        }
        let mut modules = Vec::new();
        for (module, suffixes) in grouped {
            match read_module(&file, module, &suffixes)? {
                Ok((module, has_alpha)) => {
                    let told = alphas.get(&module.name).filter(|_| !has_alpha);
                    modules.push(LoraModule { alpha: told.copied().unwrap_or(module.alpha), ..module });
                }
                Err(reason) => problems.push(Problem { key: module.to_string(), reason }),
            }
        }
        if modules.is_empty() {
            let why = problems.first().map_or("it has no tensors".into(), Problem::to_string);
            return Err(wrong(format!("no part of it is a LoRA that we know ({why})")));
        }
        Ok(Self { metadata: file.metadata().clone(), modules, problems })
    }

    /// The family of checkpoints that it was trained for, if names or metadata tell.
    pub fn family(&self) -> Option<Family> {
        let said = |key: &str| self.metadata.get(key).map_or("", String::as_str);
        let xl = |module: &LoraModule| {
            // Not lora_te1_: diffusers' conversion numbers a single text encoder too.
            ["lora_te2_", "lora_unet_input_blocks_", "lora_unet_output_blocks_"]
                .iter()
                .any(|start| module.name.starts_with(start))
        };
        if said("ss_base_model_version").starts_with("sdxl") || self.modules.iter().any(xl) {
            return Some(Family::Sdxl);
        }
        match said("ss_v2") {
            "True" => Some(Family::Sd2),
            "False" => Some(Family::Sd1),
            _ => None,
        }
    }
}

/// Whether `module` could be a name of a LoRA for Stable Diffusion.
fn is_module(module: &str) -> bool {
    ["lora_unet_", "lora_te_", "lora_te1_", "lora_te2_"].iter().any(|start| module.starts_with(start))
}

/// Why this file as a whole is no LoRA for Stable Diffusion, if so.
fn refusal(file: &Tensors) -> Option<String> {
    let any = |test: &dyn Fn(&str) -> bool| file.names().iter().any(|name| test(name));
    if file_kind::kind(file) == FileKind::Embedding {
        return Some("it is a textual inversion (embedding), not a LoRA".into());
    }
    if any(&|name| name.starts_with("model.diffusion_model.") || name.starts_with("cond_stage_model.")) {
        return Some("it is a checkpoint, not a LoRA".into());
    }
    let foreign = ["lora_unet_double_blocks_", "lora_unet_joint_blocks_"];
    any(&|name| foreign.iter().any(|start| name.starts_with(start)))
        .then(|| "it was trained for Flux or SD3; only SD1.x, SD2.x and SDXL are supported".into())
}

/// The tensors of a LoRA file under kohya's names, whichever it has; nothing but the header is read.
///
/// # Errors
/// When the file cannot be read.
pub fn tensors(path: &Path) -> Result<Tensors, Error> {
    Ok(peft::with_kohya_names(TensorFile::open(path)?, path).tensors)
}

/// The module's tensors and whether alpha is among them, or why they cannot be used.
fn read_module(file: &Tensors, name: &str, suffixes: &[&str]) -> Result<Result<(LoraModule, bool), String>, Error> {
    let known = |suffix: &&&str| KINDS.iter().any(|(_, needed, more)| needed.contains(suffix) || more.contains(suffix));
    let stranger = |suffix: &&&str| !known(suffix) && !["alpha", "dora_scale"].contains(*suffix);
    if let Some(suffix) = suffixes.iter().find(stranger) {
        return Ok(Err(match FOREIGN.iter().find(|(start, _)| suffix.starts_with(start)) {
            Some((_, kind)) => format!("it is a {kind} adapter, which is not supported yet"),
            None => format!("unknown tensor {suffix}"),
        }));
    }
    let (kind, needed) = match kind_of(suffixes) {
        Ok(kind) => kind,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Some(missing) = needed.iter().find(|suffix| !suffixes.contains(suffix)) {
        return Ok(Err(format!("{missing} is missing")));
    }
    let mut tensors = BTreeMap::new();
    for suffix in suffixes {
        let key = format!("{name}.{suffix}");
        let Some(shape) = file.shape(&key) else { continue };
        tensors.insert(suffix.to_string(), ModuleTensor { shape: shape.to_vec(), values: file.read_f32(&key)? });
    }
    let (alpha, on_input) = (tensors.remove("alpha"), tensors.remove("on_input"));
    if let Some(reason) = misfit(&tensors, alpha.as_ref().into_iter().chain(&on_input)) {
        return Ok(Err(reason));
    }
    magnitudes_as_lycoris(&mut tensors);
    let has_alpha = alpha.is_some();
    let alpha = alpha.map_or_else(|| rank(&tensors) as f32, |alpha| alpha.values[0]);
    let on_input = on_input.map(|flag| flag.values[0] != 0.0);
    Ok(Ok((LoraModule { name: name.to_string(), kind, tensors, alpha, on_input }, has_alpha)))
}

/// PEFT keeps the magnitudes of DoRA, one for each output, as a vector or (1, out, 1, 1); LyCORIS as a column.
fn magnitudes_as_lycoris(tensors: &mut BTreeMap<String, ModuleTensor>) {
    let axes = tensors.get("lora_down.weight").map_or(2, |down| down.shape.len());
    let Some(scale) = tensors.get_mut("dora_scale") else { return };
    if let [outputs] | [1, outputs, 1, 1] = scale.shape[..] {
        scale.shape = [outputs, 1, 1, 1][..axes.clamp(2, 4)].to_vec();
    }
}

/// Name of the kind that has such tensors, and those that it needs.
fn kind_of(suffixes: &[&str]) -> Result<(&'static str, &'static [&'static str]), String> {
    let mut kinds =
        KINDS.iter().filter(|(_, needed, more)| suffixes.iter().any(|s| needed.contains(s) || more.contains(s)));
    match (kinds.next(), kinds.next()) {
        (Some((kind, needed, _)), None) => Ok((kind, needed)),
        (Some((one, ..)), Some((other, ..))) => Err(format!("it has tensors of {one} and of {other}")),
        (None, _) => Err("it has an alpha or dora_scale and nothing else".into()),
    }
}

/// Inner dimension: rows of the tensor that has as many as the rank; 1 if there is none.
fn rank(tensors: &BTreeMap<String, ModuleTensor>) -> usize {
    let rows = ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"];
    rows.iter().find_map(|name| tensors.get(*name)?.shape.first().copied()).unwrap_or(1)
}

/// Why these tensors do not go together, if so. Whether they fit a layer is for whoever knows it.
fn misfit<'t>(
    tensors: &BTreeMap<String, ModuleTensor>,
    mut scalars: impl Iterator<Item = &'t ModuleTensor>,
) -> Option<String> {
    if scalars.any(|scalar| scalar.values.len() != 1) {
        return Some("alpha is not one number".into());
    }
    if let (Some(down), Some(up)) = (tensors.get("lora_down.weight"), tensors.get("lora_up.weight")) {
        let fit = match (down.shape.as_slice(), up.shape.as_slice()) {
            ([rank, _] | [rank, _, _, _], [_, other] | [_, other, 1, 1]) => rank == other && *rank > 0,
            _ => false,
        };
        if !fit {
            return Some(format!("lora_down {:?} and lora_up {:?} do not fit together", down.shape, up.shape));
        }
    }
    let broken = tensors.values().any(|tensor| tensor.values.iter().any(|value| !value.is_finite()));
    broken.then(|| "it holds values that are infinite or not a number; the training that made it has failed".into())
}
