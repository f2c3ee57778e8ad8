//! Reading a LoRA file in kohya's format: one [`LoraModule`] for every adapted layer.
//!
//! Reads what sd-scripts' `networks.lora` and LyCORIS' `locon` write. Other kinds of adapter are recognised by their
//! tensors and named. Whether a module fits a model is for whoever attaches it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::Error;
use crate::tensor_file::TensorFile;

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

/// The adapter of one layer: ΔW = alpha ÷ rank × up · (mid ·) down.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    /// Kohya's name, such as `lora_unet_mid_block_attentions_0_proj_in`.
    pub name: String,
    /// `lora_down.weight`: (rank, in) or (rank, in, k, k).
    pub down: LoraTensor,
    /// `lora_up.weight`: (out, rank) or (out, rank, 1, 1).
    pub up: LoraTensor,
    /// `lora_mid.weight` of the Tucker form: (rank, rank, k, k).
    pub mid: Option<LoraTensor>,
    /// `alpha`; the rank where the file has none.
    pub alpha: f32,
}

/// Values with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraTensor {
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

impl LoraModule {
    /// Inner dimension.
    pub fn rank(&self) -> usize {
        self.down.shape[0]
    }
}

/// Tensor suffixes of adapters that we cannot read yet, with the kind's name.
const FOREIGN: [(&str, &str); 15] = [
    ("hada_", "LyCORIS LoHa"),
    ("lokr_", "LyCORIS LoKr"),
    ("on_input", "LyCORIS IA3"),
    ("weight", "LyCORIS IA3"),
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
    ("dora_scale", "DoRA"),
];

impl LoraFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or when it has no module that we can use; the message then names what it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = TensorFile::open(path)?;
        let wrong = |reason: String| Error::WrongKind { file: file.label().to_string(), reason };
        let names = file.names();
        if let Some(reason) = refusal(&file, &names) {
            return Err(wrong(reason));
        }
        let mut grouped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut problems = Vec::new();
        for key in &names {
            match key.split_once('.') {
                Some((module, suffix)) if is_module(module) => grouped.entry(module).or_default().push(suffix),
                _ => problems.push(Problem { key: key.clone(), reason: "it is no name of a LoRA for SD1.x".into() }),
            }
        }
        let mut modules = Vec::new();
        for (module, suffixes) in grouped {
            match read_module(&file, module, &suffixes)? {
                Ok(module) => modules.push(module),
                Err(reason) => problems.push(Problem { key: module.to_string(), reason }),
            }
        }
        if modules.is_empty() {
            let why = problems.first().map_or("it has no tensors".into(), Problem::to_string);
            return Err(wrong(format!("no part of it is a LoRA for SD1.x ({why})")));
        }
        Ok(Self { metadata: file.metadata().clone(), modules, problems })
    }
}

/// Whether `module` could be a name of an SD1.x LoRA.
fn is_module(module: &str) -> bool {
    module.starts_with("lora_unet_") || module.starts_with("lora_te_")
}

/// Why this file as a whole is no LoRA for SD1.x, if so.
fn refusal(file: &TensorFile, names: &[String]) -> Option<String> {
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    if any(&|name| name.starts_with("model.diffusion_model.") || name.starts_with("cond_stage_model.")) {
        return Some("it is a checkpoint, not a LoRA".into());
    }
    if any(&|name| name.contains(".lora_A.") || name.contains(".lora.down.") || name.contains("_lora.down.")) {
        return Some(
            "its tensors have diffusers (PEFT) names, which are not read yet; convert it to kohya's format".into(),
        );
    }
    let base = file.metadata().get("ss_base_model_version").map_or("", String::as_str);
    let xl = |name: &str| {
        name.starts_with("lora_te1_") || name.starts_with("lora_te2_") || name.starts_with("lora_unet_input_blocks_")
    };
    let family = if base.starts_with("sdxl") || any(&xl) {
        "SDXL"
    } else if file.metadata().get("ss_v2").is_some_and(|v2| v2 == "True") {
        "SD2"
    } else if any(&|name| name.starts_with("lora_unet_double_blocks_") || name.starts_with("lora_unet_joint_blocks_")) {
        "Flux or SD3"
    } else {
        return None;
    };
    Some(format!("it was trained for {family}; only SD1.x is supported so far"))
}

/// The module's tensors, or why they cannot be used.
fn read_module(file: &TensorFile, name: &str, suffixes: &[&str]) -> Result<Result<LoraModule, String>, Error> {
    const KNOWN: [&str; 4] = ["lora_down.weight", "lora_up.weight", "lora_mid.weight", "alpha"];
    if let Some(suffix) = suffixes.iter().find(|suffix| !KNOWN.contains(suffix)) {
        return Ok(Err(match FOREIGN.iter().find(|(start, _)| suffix.starts_with(start)) {
            Some((_, kind)) => format!("it is a {kind} adapter, which is not supported yet"),
            None => format!("unknown tensor {suffix}"),
        }));
    }
    let read = |suffix: &str| -> Result<Option<LoraTensor>, Error> {
        let key = format!("{name}.{suffix}");
        let Some(shape) = file.shape(&key) else { return Ok(None) };
        Ok(Some(LoraTensor { shape: shape.to_vec(), values: file.read_f32(&key)? }))
    };
    let (Some(down), Some(up)) = (read("lora_down.weight")?, read("lora_up.weight")?) else {
        return Ok(Err("lora_down.weight or lora_up.weight is missing".into()));
    };
    let mid = read("lora_mid.weight")?;
    let alpha = read("alpha")?;
    if let Some(reason) = misfit(&down, &up, mid.as_ref(), alpha.as_ref()) {
        return Ok(Err(reason));
    }
    let alpha = alpha.map_or(down.shape[0] as f32, |alpha| alpha.values[0]);
    Ok(Ok(LoraModule { name: name.to_string(), down, up, mid, alpha }))
}

/// Why these tensors do not go together, if so.
fn misfit(down: &LoraTensor, up: &LoraTensor, mid: Option<&LoraTensor>, alpha: Option<&LoraTensor>) -> Option<String> {
    let rank = match (down.shape.as_slice(), up.shape.as_slice()) {
        ([rank, _], [_, other]) | ([rank, _, _, _], [_, other, 1, 1]) if rank == other && *rank > 0 => *rank,
        (down, up) => return Some(format!("lora_down {down:?} and lora_up {up:?} do not fit together")),
    };
    if let Some(mid) = mid {
        match (mid.shape.as_slice(), down.shape.as_slice()) {
            ([a, b, _, _], [_, _, 1, 1]) if *a == rank && *b == rank => {}
            (shape, _) => return Some(format!("lora_mid {shape:?} does not fit lora_down {:?}", down.shape)),
        }
    }
    if alpha.is_some_and(|alpha| alpha.values.len() != 1) {
        return Some("alpha is not one number".into());
    }
    let all = [Some(down), Some(up), mid, alpha];
    let broken = all.into_iter().flatten().any(|tensor| tensor.values.iter().any(|value| !value.is_finite()));
    broken.then(|| "it holds values that are infinite or not a number; the training that made it has failed".into())
}
