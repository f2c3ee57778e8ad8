//! Reading a LoRA file: one [`LoraModule`] for every adapted layer, under kohya's name.
//!
//! Reads what sd-scripts' `networks.lora` and `networks.dylora` write, LyCORIS' LoCon, LoHa, LoKr and IA3, with DoRA, and
//! the LoRAs of diffusers and PEFT.
//! Other kinds of adapter are recognised by their tensors and named. Whether a module fits a model is for whoever
//! attaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use lorabake_recipe::model::Family;

use super::peft::{self, KohyaTensors};
use crate::Error;
use crate::file_kind::relatives;
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
    /// The module's tensors by name, such as `lora_down.weight`, without `alpha` and `on_input`.
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
    /// The values, as many as the product of `shape`.
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

/// A kind of adapter, and the suffixes of its tensors.
struct Kind {
    name: &'static str,
    /// Suffixes that each module of this kind has.
    needed: &'static [&'static str],
    /// Suffixes that a module may have.
    optional: &'static [&'static str],
}

impl Kind {
    fn has(&self, suffix: &str) -> bool {
        self.needed.contains(&suffix) || self.optional.contains(&suffix)
    }
}

/// The kinds that are read.
const KINDS: [Kind; 4] = [
    Kind { name: "LoRA", needed: &["lora_down.weight", "lora_up.weight"], optional: &["lora_mid.weight"] },
    Kind {
        name: "LoHa",
        needed: &["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"],
        optional: &["hada_t1", "hada_t2"],
    },
    Kind {
        name: "LoKr",
        needed: &[],
        optional: &["lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"],
    },
    Kind { name: "IA3", needed: &["weight", "on_input"], optional: &[] },
];

/// What the names of embeddings in the file of a LoRA begin with.
pub(super) const EMBEDDINGS: &str = "bundle_emb.";

/// Suffixes that modules of several kinds have.
const SHARED: [&str; 2] = ["alpha", "dora_scale"];

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
        if let Some(reason) = refusal(&file) {
            return Err(wrong(reason));
        }
        let mut suffixes_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for key in file.names() {
            if key.starts_with(EMBEDDINGS) || is_without_effect(key) {
                continue;
            }
            match key.split_once('.') {
                Some((module, suffix)) if is_module(module) => suffixes_of.entry(module).or_default().push(suffix),
                _ => {
                    let reason = "it is no name of a LoRA in kohya's or diffusers' naming".into();
                    problems.push(Problem { key: key.clone(), reason });
                }
            }
        }
        let mut modules = Vec::new();
        for (module, suffixes) in suffixes_of {
            match read_module(&file, module, &suffixes, alphas.get(module).copied())? {
                Read::Module(module) => modules.push(module),
                Read::Unusable(reason) => problems.push(Problem { key: module.to_string(), reason }),
            }
        }
        if modules.is_empty() {
            let why = problems.first().map_or("it has no tensors".into(), Problem::to_string);
            return Err(wrong(format!("no part of it is a LoRA that we know ({why})")));
        }
        Ok(Self { metadata: file.metadata().clone(), modules, problems })
    }

    /// The family of checkpoints that this LoRA was trained for, if names or metadata tell.
    pub fn family(&self) -> Option<Family> {
        if self.says("ss_base_model_version").starts_with("sdxl") || self.modules.iter().any(LoraModule::is_of_sdxl) {
            return Some(Family::Sdxl);
        }
        match self.says("ss_v2") {
            "True" => Some(Family::Sd2),
            "False" => Some(Family::Sd1),
            _ => None,
        }
    }

    /// What the metadata has under a key; nothing if it has none.
    fn says(&self, key: &str) -> &str {
        self.metadata.get(key).map_or("", String::as_str)
    }
}

impl LoraModule {
    /// Whether only LoRAs of SDXL have such a name. `lora_te1_` is not among these: diffusers' conversion numbers a single
    /// text encoder too.
    fn is_of_sdxl(&self) -> bool {
        let starts = ["lora_te2_", "lora_unet_input_blocks_", "lora_unet_output_blocks_"];
        starts.iter().any(|start| self.name.starts_with(start))
    }
}

/// Whether programs leave this key in files of LoRAs although nobody needs it.
pub(super) fn is_without_effect(key: &str) -> bool {
    ["v_pred", "ztsnr", "step", "global_step", "epoch"].contains(&key) || key.starts_with("model_ema.")
}

/// Whether `module` could be a name of a LoRA for Stable Diffusion.
pub(super) fn is_module(module: &str) -> bool {
    ["lora_unet_", "lora_te_", "lora_te1_", "lora_te2_"].iter().any(|start| module.starts_with(start))
}

/// Why this file as a whole is no LoRA for Stable Diffusion, if so.
pub(super) fn refusal(file: &Tensors) -> Option<String> {
    let kind = file_kind::kind(file);
    if kind == FileKind::Adapter {
        return relatives::lora_refusal(file);
    }
    if let Some(relative) = relatives::find(file) {
        return Some(relative.refusal_as_lora());
    }
    let remedy = match kind {
        FileKind::Unknown => return None,
        FileKind::Checkpoint => "give it as --pretrained_model_name_or_path",
        FileKind::Vae => "give it as --vae",
        FileKind::State => "give it as --resume",
        _ => "give a LoRA of SD1.x, SD2.x or SDXL",
    };
    Some(format!("it is a {}, not a LoRA; {remedy}", kind.name()))
}

/// A note about the embeddings that lie in a LoRA's file beside it, as OneTrainer writes them, if there are any; nothing but
/// the header is read.
///
/// # Errors
/// When the file cannot be read.
pub fn note(path: &Path) -> Result<Option<String>, Error> {
    let file = TensorFile::open(path)?;
    let mut names = BTreeSet::new();
    for key in file.names() {
        if let Some(rest) = key.strip_prefix(EMBEDDINGS) {
            names.insert(rest.split('.').next().unwrap_or(rest).to_string());
        }
    }
    if names.is_empty() {
        return Ok(None);
    }
    let (what, verb) = if names.len() == 1 { ("embedding", "is") } else { ("embeddings", "are") };
    let names: Vec<String> = names.into_iter().collect();
    let label = file.label();
    Ok(Some(format!("{label}: the {what} {} in it {verb} not used, the LoRA is", names.join(", "))))
}

/// The tensors of a LoRA file under kohya's names, whichever it has; nothing but the header is read.
///
/// # Errors
/// When the file cannot be read.
pub fn tensors(path: &Path) -> Result<Tensors, Error> {
    Ok(peft::with_kohya_names(TensorFile::open(path)?, path).tensors)
}

/// What became of a module of a file.
enum Read {
    Module(LoraModule),
    /// The module's tensors cannot be used, for this reason.
    Unusable(String),
}

/// Reads the module `name`, which has tensors of these suffixes; `alpha_aside` is what settings beside the tensors say.
fn read_module(file: &Tensors, name: &str, suffixes: &[&str], alpha_aside: Option<f32>) -> Result<Read, Error> {
    let kind = match kind_of(suffixes) {
        Ok(kind) => kind,
        Err(reason) => return Ok(Read::Unusable(reason)),
    };
    if let Some(missing) = kind.needed.iter().find(|suffix| !suffixes.contains(suffix)) {
        return Ok(Read::Unusable(format!("{missing} is missing")));
    }
    let mut tensors = BTreeMap::new();
    for suffix in suffixes {
        let key = format!("{name}.{suffix}");
        let Some(shape) = file.shape(&key) else { continue };
        let tensor = ModuleTensor { shape: shape.to_vec(), values: file.read_f32(&key)? };
        tensors.insert(suffix.to_string(), tensor);
    }
    let alpha = tensors.remove("alpha");
    let on_input = tensors.remove("on_input");
    for scalar in [&alpha, &on_input].into_iter().flatten() {
        if scalar.values.len() != 1 {
            return Ok(Read::Unusable("alpha is not one number".into()));
        }
    }
    if let Some(reason) = misfit(&tensors) {
        return Ok(Read::Unusable(reason));
    }
    magnitudes_as_lycoris(&mut tensors);
    let alpha = match alpha {
        Some(alpha) => alpha.values[0],
        None => alpha_aside.unwrap_or_else(|| rank(&tensors) as f32),
    };
    let on_input = on_input.map(|flag| flag.values[0] != 0.0);
    Ok(Read::Module(LoraModule { name: name.to_string(), kind: kind.name, tensors, alpha, on_input }))
}

/// PEFT keeps the magnitudes of DoRA, one for each output, as a vector or (1, out, 1, 1); LyCORIS as a column.
fn magnitudes_as_lycoris(tensors: &mut BTreeMap<String, ModuleTensor>) {
    let axes = tensors.get("lora_down.weight").map_or(2, |down| down.shape.len());
    let Some(scale) = tensors.get_mut("dora_scale") else { return };
    if let [outputs] | [1, outputs, 1, 1] = scale.shape[..] {
        scale.shape = [outputs, 1, 1, 1][..axes.clamp(2, 4)].to_vec();
    }
}

/// The kind of a module with tensors of these suffixes, or why it is none.
fn kind_of(suffixes: &[&str]) -> Result<&'static Kind, String> {
    for suffix in suffixes {
        if SHARED.contains(suffix) || KINDS.iter().any(|kind| kind.has(suffix)) {
            continue;
        }
        return Err(match FOREIGN.iter().find(|(start, _)| suffix.starts_with(start)) {
            Some((_, kind)) => format!("it is a {kind} adapter, which is not supported yet"),
            None => format!("unknown tensor {suffix}"),
        });
    }
    let mut kinds = KINDS.iter().filter(|kind| suffixes.iter().any(|suffix| kind.has(suffix)));
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind),
        (Some(one), Some(other)) => Err(format!("it has tensors of {} and of {}", one.name, other.name)),
        (None, _) => Err("it has an alpha or dora_scale and nothing else".into()),
    }
}

/// Inner dimension: rows of the tensor that has as many as the rank; 1 if there is none.
fn rank(tensors: &BTreeMap<String, ModuleTensor>) -> usize {
    for name in ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"] {
        if let Some(tensor) = tensors.get(name)
            && let Some(rank) = tensor.shape.first()
        {
            return *rank;
        }
    }
    1
}

/// Why these tensors do not go together, if so. Whether they fit a layer is for whoever knows it.
fn misfit(tensors: &BTreeMap<String, ModuleTensor>) -> Option<String> {
    if let (Some(down), Some(up)) = (tensors.get("lora_down.weight"), tensors.get("lora_up.weight")) {
        let fit = match (down.shape.as_slice(), up.shape.as_slice()) {
            ([rank, _] | [rank, _, _, _], [_, other] | [_, other, 1, 1]) => rank == other && *rank > 0,
            _ => false,
        };
        if !fit {
            return Some(format!("lora_down {:?} and lora_up {:?} do not fit together", down.shape, up.shape));
        }
    }
    for tensor in tensors.values() {
        if tensor.values.iter().any(|value| !value.is_finite()) {
            return Some(
                "it holds values that are infinite or not a number; the training that made it has failed".into(),
            );
        }
    }
    None
}
