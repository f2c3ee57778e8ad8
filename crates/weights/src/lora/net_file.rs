//! Reading a file of a net for painting: every adapted layer with all of its tensors, whatever kind of adapter it is.
//!
//! Beside what [`super::LoraFile`] reads, which can be trained on, these are LyCORIS' GLoRA, OFT, BOFT, full differences
//! and norms, kohya's OFT, differences of biases, and embeddings that lie beside the LoRA.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_recipe::model::Family;
use safetensors::Dtype;

use super::file::{EMBEDDINGS, ModuleTensor, Problem, is_module, is_without_effect, refusal};
use super::peft::{self, KohyaTensors};
use crate::Error;
use crate::formats::tensor_file::TensorFile;
use crate::tensors::Tensors;

/// What the names of modules may begin with beside kohya's, and kohya's words for it: his OFT, LyCORIS without a trainer.
const OTHER_STARTS: [(&str, &str); 4] = [
    ("oft_unet_", "lora_unet_"),
    ("oft_te_", "lora_te_"),
    ("lycoris_unet_", "lora_unet_"),
    ("lycoris_te_", "lora_te_"),
];

/// What the web UI's own names begin with.
const OF_WEBUI: [&str; 5] = [
    "diffusion_model_",
    "transformer_text_model_",
    "0_transformer_text_model_",
    "model_transformer_resblocks_",
    "1_model_transformer_resblocks_",
];

/// PEFT's name for the magnitudes of DoRA.
const PEFT_MAGNITUDE: &str = "lora_magnitude_vector";

/// A file of a net, read whole.
#[derive(Debug, Clone)]
pub struct NetFile {
    /// The file's text metadata.
    pub metadata: BTreeMap<String, String>,
    /// The adapted layers, sorted by name.
    pub modules: Vec<NetFileModule>,
    /// Embeddings that lie in the file beside the net, by name: their tensors by what follows the name, such as
    /// `string_to_param.*` or `clip_l`.
    pub embeddings: BTreeMap<String, BTreeMap<String, ModuleTensor>>,
    /// What of the file could not be used, and why.
    pub problems: Vec<Problem>,
}

/// All tensors of one adapted layer.
#[derive(Debug, Clone, PartialEq)]
pub struct NetFileModule {
    /// kohya's name, such as `lora_unet_mid_block_attentions_0_proj_in`, or the web UI's.
    pub name: String,
    /// The tensors by what follows the module's name, such as `lora_up.weight`, `alpha` and `on_input`.
    pub tensors: BTreeMap<String, ModuleTensor>,
}

impl NetFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else than a net, which is named then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = TensorFile::open(path)?;
        let is_peft = file.names().iter().any(|name| name.contains(PEFT_MAGNITUDE));
        let KohyaTensors { tensors: file, alphas } = peft::with_kohya_names(file, path);
        let wrong = |reason: String| Error::WrongKind { file: file.label().to_string(), reason };
        if let Some(reason) = refusal(&file) {
            return Err(wrong(reason));
        }
        let mut modules: BTreeMap<String, BTreeMap<String, ModuleTensor>> = BTreeMap::new();
        let mut embeddings: BTreeMap<String, BTreeMap<String, ModuleTensor>> = BTreeMap::new();
        let mut problems = Vec::new();
        for key in file.names() {
            if let Some(rest) = key.strip_prefix(EMBEDDINGS) {
                let (name, leaf) = rest.split_once('.').unwrap_or((rest, ""));
                embeddings.entry(name.to_string()).or_default().insert(leaf.to_string(), tensor(&file, key)?);
                continue;
            }
            if is_without_effect(key) {
                continue;
            }
            match key.split_once('.').and_then(|(module, leaf)| Some((kohya_name(module)?, leaf))) {
                Some((module, leaf)) => {
                    modules.entry(module).or_default().insert(leaf.to_string(), tensor(&file, key)?);
                }
                None => {
                    let reason = "it is no name of a net in kohya's, diffusers' or the web UI's naming".into();
                    problems.push(Problem { key: key.clone(), reason });
                }
            }
        }
        if modules.is_empty() {
            let why = problems.first().map_or("it has no tensors".into(), Problem::to_string);
            return Err(wrong(format!("no part of it is a LoRA that we know ({why})")));
        }
        for (module, tensors) in &mut modules {
            if is_peft && let Some(scale) = tensors.get_mut("dora_scale") {
                // One for each output, whatever axis it lies along.
                scale.shape = vec![scale.values.len(), 1];
            }
            if let Some(alpha) = alphas.get(module) {
                let alpha = ModuleTensor { shape: Vec::new(), values: vec![*alpha] };
                tensors.entry("alpha".to_string()).or_insert(alpha);
            }
        }
        let modules = modules.into_iter().map(|(name, tensors)| NetFileModule { name, tensors }).collect();
        Ok(Self { metadata: file.metadata().clone(), modules, embeddings, problems })
    }

    /// The family of checkpoints that this net was trained for, if names, shapes or metadata tell.
    pub fn family(&self) -> Option<Family> {
        let says = |key: &str| self.metadata.get(key).map_or("", String::as_str);
        let of_sdxl = |start: &str| self.modules.iter().any(|module| module.name.starts_with(start));
        if says("ss_base_model_version").starts_with("sdxl") || OF_SDXL.iter().any(|start| of_sdxl(start)) {
            return Some(Family::Sdxl);
        }
        for module in &self.modules {
            if let Some(family) = module.family_by_width() {
                return Some(family);
            }
        }
        match says("ss_v2") {
            "True" => Some(Family::Sd2),
            "False" => Some(Family::Sd1),
            _ => None,
        }
    }
}

/// What only the names of nets for SDXL begin with.
const OF_SDXL: [&str; 5] = [
    "lora_te2_",
    "lora_unet_input_blocks_",
    "lora_unet_output_blocks_",
    "0_transformer_text_model_",
    "1_model_transformer_resblocks_",
];

impl NetFileModule {
    /// The family whose text states are as wide as this layer's input, if it is one that reads them.
    fn family_by_width(&self) -> Option<Family> {
        if !self.name.ends_with("attn2_to_k") && !self.name.ends_with("attn2_to_v") {
            return None;
        }
        match self.tensors.get("lora_down.weight")?.shape.get(1)? {
            768 => Some(Family::Sd1),
            1024 => Some(Family::Sd2),
            2048 => Some(Family::Sdxl),
            _ => None,
        }
    }
}

/// A module's name as kohya or the web UI has it; `None` if it is none.
fn kohya_name(module: &str) -> Option<String> {
    if is_module(module) || OF_WEBUI.iter().any(|start| module.starts_with(start)) {
        return Some(module.to_string());
    }
    OTHER_STARTS.iter().find_map(|(start, own)| Some(format!("{own}{}", module.strip_prefix(start)?)))
}

/// A tensor of the file. Flags may be stored as bytes.
fn tensor(file: &Tensors, key: &str) -> Result<ModuleTensor, Error> {
    let shape = file.shape(key).unwrap_or_default().to_vec();
    let values = match file.dtype(key) {
        Some(Dtype::BOOL | Dtype::U8 | Dtype::I8) if shape.iter().product::<usize>() == 1 => {
            let is_set = file.bytes(key).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0));
            vec![f32::from(u8::from(is_set))]
        }
        _ => file.read_f32(key)?,
    };
    Ok(ModuleTensor { shape, values })
}
