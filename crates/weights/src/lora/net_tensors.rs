//! A file of a net whose tensors are read module by module, when they are wanted: a large one never lies in memory whole.

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

/// What only the names of nets for SDXL begin with.
const OF_SDXL: [&str; 5] = [
    "lora_te2_",
    "lora_unet_input_blocks_",
    "lora_unet_output_blocks_",
    "0_transformer_text_model_",
    "1_model_transformer_resblocks_",
];

/// PEFT's names of factors, behind kohya's names of modules, and his.
const PEFT_LEAVES: [(&str, &str); 2] = [("lora_A.weight", "lora_down.weight"), ("lora_B.weight", "lora_up.weight")];

/// PEFT's name for the magnitudes of DoRA.
const PEFT_MAGNITUDE: &str = "lora_magnitude_vector";

/// An open file of a net, of whatever kind of adapter.
#[derive(Debug)]
pub struct NetTensors {
    file: Tensors,
    /// Module → what follows its name → the key.
    modules: BTreeMap<String, BTreeMap<String, String>>,
    /// Embedding → what follows its name → the key.
    embeddings: BTreeMap<String, BTreeMap<String, String>>,
    /// Alphas from the settings of diffusers or PEFT, by module.
    alphas: BTreeMap<String, f32>,
    is_peft: bool,
    problems: Vec<Problem>,
}

impl NetTensors {
    /// Opens the file at `path`; nothing but the header is read.
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
        let mut modules: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut embeddings: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut problems = Vec::new();
        for key in file.names() {
            if let Some(rest) = key.strip_prefix(EMBEDDINGS) {
                let (name, leaf) = rest.split_once('.').unwrap_or((rest, ""));
                embeddings.entry(name.to_string()).or_default().insert(leaf.to_string(), key.clone());
                continue;
            }
            if is_without_effect(key) {
                continue;
            }
            match key.split_once('.').and_then(|(module, leaf)| Some((kohya_name(module)?, leaf))) {
                Some((module, leaf)) => {
                    let leaf = PEFT_LEAVES.iter().find(|(peft, _)| *peft == leaf).map_or(leaf, |(_, own)| own);
                    modules.entry(module).or_default().insert(leaf.to_string(), key.clone());
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
        Ok(Self { file, modules, embeddings, alphas, is_peft, problems })
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        self.file.label()
    }

    /// The file's text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.file.metadata()
    }

    /// What of the file cannot be used, and why.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The names of all modules, sorted: kohya's, such as `lora_unet_mid_block_attentions_0_proj_in`, or the web UI's.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// What follows a module's name in the names of its tensors, such as `lora_up.weight` and `alpha`, sorted.
    pub fn leaves(&self, module: &str) -> impl Iterator<Item = &str> {
        self.modules.get(module).into_iter().flat_map(|leaves| leaves.keys().map(String::as_str))
    }

    /// The shape of a tensor of a module.
    pub fn shape(&self, module: &str, leaf: &str) -> Option<&[usize]> {
        self.file.shape(self.modules.get(module)?.get(leaf)?)
    }

    /// The type of the numbers of a module's tensor.
    pub fn dtype(&self, module: &str, leaf: &str) -> Option<Dtype> {
        self.file.dtype(self.modules.get(module)?.get(leaf)?)
    }

    /// All tensors of a module by what follows its name, with the alpha that settings beside the tensors say.
    ///
    /// # Errors
    /// When numbers are of a type that is not read, or damaged.
    pub fn read(&self, module: &str) -> Result<BTreeMap<String, ModuleTensor>, Error> {
        let mut tensors = BTreeMap::new();
        for (leaf, key) in self.modules.get(module).into_iter().flatten() {
            tensors.insert(leaf.clone(), tensor(&self.file, key)?);
        }
        if self.is_peft
            && let Some(scale) = tensors.get_mut("dora_scale")
        {
            // One for each output, whatever axis it lies along.
            scale.shape = vec![scale.values.len(), 1];
        }
        if let Some(alpha) = self.alphas.get(module) {
            let alpha = ModuleTensor { shape: Vec::new(), values: vec![*alpha] };
            tensors.entry("alpha".to_string()).or_insert(alpha);
        }
        Ok(tensors)
    }

    /// The names of the embeddings that lie in the file beside the net.
    pub fn embeddings(&self) -> impl Iterator<Item = &str> {
        self.embeddings.keys().map(String::as_str)
    }

    /// The embeddings that lie in the file beside the net, by name: their tensors by what follows the name.
    ///
    /// # Errors
    /// When numbers are of a type that is not read, or damaged.
    pub fn read_embeddings(&self) -> Result<BTreeMap<String, BTreeMap<String, ModuleTensor>>, Error> {
        let mut embeddings = BTreeMap::new();
        for (name, leaves) in &self.embeddings {
            let mut tensors = BTreeMap::new();
            for (leaf, key) in leaves {
                tensors.insert(leaf.clone(), tensor(&self.file, key)?);
            }
            embeddings.insert(name.clone(), tensors);
        }
        Ok(embeddings)
    }

    /// The family of checkpoints that this net was trained for, if names, shapes or metadata tell.
    pub fn family(&self) -> Option<Family> {
        let says = |key: &str| self.metadata().get(key).map_or("", String::as_str);
        let of_sdxl = |start: &str| self.modules().any(|module| module.starts_with(start));
        if says("ss_base_model_version").starts_with("sdxl") || OF_SDXL.iter().any(|start| of_sdxl(start)) {
            return Some(Family::Sdxl);
        }
        for module in self.modules.keys() {
            if let Some(family) = self.family_by_width(module) {
                return Some(family);
            }
        }
        match says("ss_v2") {
            "True" => Some(Family::Sd2),
            "False" => Some(Family::Sd1),
            _ => None,
        }
    }

    /// The family whose text states are as wide as this layer's input, if it is one that reads them.
    fn family_by_width(&self, module: &str) -> Option<Family> {
        if !module.ends_with("attn2_to_k") && !module.ends_with("attn2_to_v") {
            return None;
        }
        match self.shape(module, "lora_down.weight")?.get(1)? {
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
