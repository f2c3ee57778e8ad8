//! Reading one trace of a pack.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_model::TimeIds;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::{LoraFile, LoraModule, ModuleTensor};
use serde::Deserialize;

/// What `meta.json` says; fields that no check reads are left out.
#[derive(Debug, Deserialize)]
pub struct Meta {
    pub args: Vec<String>,
    pub model: String,
    pub init: String,
    pub versions: Versions,
    pub final_keys: String,
    pub param_order: String,
    /// Modules in the order of `dylora_draws`.
    #[serde(default)]
    pub dylora_modules: Vec<String>,
    pub micro_steps: Vec<MicroStep>,
    pub opt_steps: Vec<OptStep>,
}

/// Versions of the programs that made the recording.
#[derive(Debug, Deserialize)]
pub struct Versions {
    pub lycoris: Option<String>,
}

/// One forward and backward pass.
#[derive(Debug, Deserialize)]
pub struct MicroStep {
    pub opt_step: usize,
    /// Token ids; absent where text states are cached.
    #[serde(default)]
    pub input_ids_0: Vec<String>,
    /// Token ids of SDXL's second text encoder.
    #[serde(default)]
    pub input_ids_1: Vec<String>,
    /// The captions after shuffling and dropout.
    pub captions: Vec<String>,
    original_sizes_hw: Vec<[f32; 2]>,
    crop_top_lefts: Vec<[f32; 2]>,
    target_sizes_hw: Vec<[f32; 2]>,
    pub latents: Vec<String>,
    pub timesteps: Vec<usize>,
    pub loss_weights: Vec<f32>,
    /// DyLoRA's random number of each module.
    #[serde(default)]
    pub dylora_draws: Vec<usize>,
    pub mse_per_sample: Vec<f64>,
    pub loss: f64,
}

impl MicroStep {
    /// SDXL's sizes of each image: original, crop, target.
    ///
    /// # Errors
    /// If an image of the step has none recorded.
    pub fn sizes(&self) -> Result<Vec<TimeIds>> {
        let parts = [&self.original_sizes_hw, &self.crop_top_lefts, &self.target_sizes_hw];
        let of_image = |image: usize| {
            let pair = |part: &&Vec<[f32; 2]>| part.get(image).copied();
            let [original, crop, target] = parts.map(|part| pair(&part));
            let numbers = [original?, crop?, target?].concat();
            numbers.try_into().ok()
        };
        let images = 0..self.timesteps.len();
        images.map(|image| of_image(image).context("an image without sizes")).collect()
    }
}

/// One update.
#[derive(Debug, Deserialize)]
pub struct OptStep {
    pub lr: Vec<f64>,
    /// The optimizer's d of each group, before the update; null for optimizers that are not adaptive.
    #[serde(default)]
    pub d_before: Vec<Option<f64>>,
    pub grad_norm_before_clip: Option<f64>,
    /// With `--scale_weight_norms`.
    pub max_norm: Option<MaxNorm>,
}

/// What sd-scripts reports of the layers' norms after an update.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct MaxNorm {
    pub keys_scaled: usize,
    pub mean_norm: f64,
    pub max_norm: f64,
}

/// A recorded run.
pub struct Trace {
    pub name: String,
    pub meta: Meta,
    pub pack: PathBuf,
    own: TensorFile,
    shared: TensorFile,
    init: TensorFile,
}

/// Values with their shape.
pub type Values = (Vec<usize>, Vec<f32>);

impl Trace {
    /// Opens the trace `name` of a pack.
    ///
    /// # Errors
    /// If one of its files is missing or damaged.
    pub fn open(pack: &Path, name: &str) -> Result<Self> {
        let folder = pack.join("open/traces").join(name);
        let meta = folder.join("meta.json");
        let text = std::fs::read_to_string(&meta).with_context(|| meta.display().to_string())?;
        // Python writes numbers that JSON does not have; none of them is read here.
        let text = text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null");
        let meta: Meta = serde_json::from_str(&text).with_context(|| meta.display().to_string())?;
        Ok(Self {
            name: name.into(),
            own: TensorFile::open(&folder.join("trace.safetensors"))?,
            shared: TensorFile::open(&pack.join("shared/latents.safetensors"))?,
            init: TensorFile::open(&pack.join("inits").join(&meta.init))?,
            pack: pack.into(),
            meta,
        })
    }

    /// A tensor of the trace itself, or one that traces share.
    ///
    /// # Errors
    /// If no such tensor is recorded.
    pub fn values(&self, name: &str) -> Result<Values> {
        let file = if self.own.shape(name).is_some() { &self.own } else { &self.shared };
        let shape = file.shape(name).with_context(|| format!("the trace has no tensor {name}"))?;
        Ok((shape.to_vec(), file.read_f32(name)?))
    }

    /// Integers of the trace (i32), such as token ids.
    ///
    /// # Errors
    /// If no such tensor is recorded.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>> {
        let bytes = self.own.bytes(name).with_context(|| format!("the trace has no tensor {name}"))?;
        Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// The initial weights by key, those that are all zeros included.
    ///
    /// # Errors
    /// If a tensor cannot be read, or the list of those that are all zeros is none.
    pub fn initial(&self) -> Result<BTreeMap<String, Values>> {
        let mut tensors = BTreeMap::new();
        for name in self.init.names() {
            let shape = self.init.shape(&name).unwrap_or_default().to_vec();
            let values = self.init.read_f32(&name)?;
            tensors.insert(name, (shape, values));
        }
        if let Some(zeros) = self.init.metadata().get("zero_tensors") {
            let zeros: BTreeMap<String, Vec<usize>> = serde_json::from_str(zeros)?;
            for (name, shape) in zeros {
                let count = shape.iter().product();
                tensors.insert(name, (shape, vec![0.0; count]));
            }
        }
        Ok(tensors)
    }

    /// The initial weights as a LoRA file would give them.
    ///
    /// # Errors
    /// If a tensor cannot be read, or its key names no module.
    pub fn initial_lora(&self) -> Result<LoraFile> {
        let tensors = self.initial()?;
        let mut modules: BTreeMap<&str, LoraModule> = BTreeMap::new();
        for (key, (shape, values)) in &tensors {
            let (name, leaf) = key.split_once('.').with_context(|| format!("{key} is no tensor of a module"))?;
            let module = modules.entry(name).or_insert_with(|| LoraModule {
                name: name.to_string(),
                kind: "",
                tensors: BTreeMap::new(),
                alpha: 1.0,
                on_input: None,
            });
            match leaf {
                "alpha" => module.alpha = values[0],
                "on_input" => module.on_input = Some(values[0] != 0.0),
                _ => {
                    let tensor = ModuleTensor { shape: shape.clone(), values: values.clone() };
                    module.tensors.insert(leaf.to_string(), tensor);
                }
            }
        }
        Ok(LoraFile { metadata: BTreeMap::new(), modules: modules.into_values().collect(), problems: Vec::new() })
    }

    /// Names of the trained tensors in the order in which the trace lists their norms.
    ///
    /// # Errors
    /// If the list of names is missing or damaged.
    pub fn parameters(&self) -> Result<Vec<String>> {
        if self.meta.param_order == "init" {
            return Ok(trained(&self.initial()?).cloned().collect());
        }
        let path = self.pack.join("inits").join(&self.meta.param_order);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}

/// The keys of tensors that are trained.
pub fn trained(initial: &BTreeMap<String, Values>) -> impl Iterator<Item = &String> {
    initial.keys().filter(|key| !key.ends_with(".alpha") && !key.ends_with(".on_input"))
}
