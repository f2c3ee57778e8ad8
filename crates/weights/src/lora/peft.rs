//! LoRAs as diffusers and PEFT save them, seen under kohya's names, and the alphas that they keep beside their tensors.
//!
//! Alphas: in the header as `lora_adapter_metadata` (diffusers 0.34 and later), or in `adapter_config.json` beside the
//! file (PEFT); without either the rank counts, as diffusers has it.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_recipe::text_file;
use serde_json::Value;

use crate::formats::tensor_file::TensorFile;
use crate::keys::peft::{self, PeftName};
use crate::tensors::{RenamedTensor, Tensors, View};

/// Longest file of settings that is read.
const MAX_SETTINGS: u64 = 1 << 24;

/// A LoRA's tensors under kohya's names.
#[derive(Debug)]
pub(crate) struct KohyaTensors {
    pub tensors: Tensors,
    /// Alphas from the settings of diffusers or PEFT, by module.
    pub alphas: BTreeMap<String, f32>,
}

/// The tensors of a file, under kohya's names if they have others; what is not understood keeps its name.
pub(crate) fn with_kohya_names(file: TensorFile, path: &Path) -> KohyaTensors {
    let mut renamed = Vec::new();
    let mut peft_names = Vec::new();
    for name in file.names() {
        let parsed = if name.starts_with("lora_") { None } else { peft::parse(&name) };
        let kohya = match &parsed {
            Some(peft) => format!("{}.{}", peft.module, peft.tensor),
            None => name.clone(),
        };
        if let Some(peft) = parsed {
            let rows = file.shape(&name).and_then(|shape| shape.first()).copied();
            peft_names.push((peft, rows));
        }
        renamed.push(RenamedTensor { in_file: name, name: kohya, view: View::Same });
    }
    if peft_names.is_empty() {
        return KohyaTensors { tensors: file.into(), alphas: BTreeMap::new() };
    }
    let settings = Settings::read(&file, path);
    let mut alphas = BTreeMap::new();
    for (peft, rows) in peft_names {
        if peft.tensor != "lora_down.weight" {
            continue;
        }
        // The rows of the first factor are as many as the rank.
        let Some(rank) = rows else { continue };
        if let Some(alpha) = settings.alpha(&peft, rank) {
            alphas.insert(peft.module, alpha);
        }
    }
    let mut tensors = Tensors::empty(file.label());
    *tensors.metadata_mut() = file.metadata().clone();
    tensors.add(file, renamed);
    KohyaTensors { tensors, alphas }
}

/// What diffusers or PEFT keep about a LoRA's alphas.
struct Settings {
    values: Value,
    /// One set for each network, with its name and a dot before each key.
    prefixed: bool,
}

impl Settings {
    /// The settings of the LoRA in `file`, which lies at `path`; none (`null`) where it has none.
    fn read(file: &TensorFile, path: &Path) -> Self {
        if let Some(text) = file.metadata().get("lora_adapter_metadata")
            && let Ok(values) = serde_json::from_str(text)
        {
            return Self { values, prefixed: true };
        }
        let values = Self::beside(path).unwrap_or_default();
        Self { values, prefixed: false }
    }

    /// PEFT's `adapter_config.json` beside a file, if there is one of a believable size.
    fn beside(path: &Path) -> Option<Value> {
        let config = path.with_file_name("adapter_config.json");
        if std::fs::metadata(&config).ok()?.len() > MAX_SETTINGS {
            return None;
        }
        let text = text_file::decode_settings(std::fs::read(&config).ok()?).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn get(&self, name: &PeftName, key: &str) -> &Value {
        if self.prefixed { &self.values[format!("{}.{key}", name.network)] } else { &self.values[key] }
    }

    /// The alpha of a module of this rank.
    fn alpha(&self, name: &PeftName, rank: usize) -> Option<f32> {
        let alpha = self.own_alpha(name).unwrap_or(self.get(name, "lora_alpha")).as_f64()? as f32;
        // Rank-stabilized: scaled by alpha over the root of the rank.
        let stabilized = self.get(name, "use_rslora") == &Value::Bool(true);
        Some(if stabilized { alpha * (rank as f32).sqrt() } else { alpha })
    }

    /// The alpha that `alpha_pattern` has for this layer: the first whose key ends its path.
    fn own_alpha(&self, name: &PeftName) -> Option<&Value> {
        let patterns = self.get(name, "alpha_pattern").as_object()?;
        let path = name.path.as_str();
        // Each end of the path is looked up: files may have as many keys as layers.
        let mut found = patterns.get_key_value(path);
        for (dot, _) in path.match_indices('.') {
            if let Some(entry) = patterns.get_key_value(&path[dot + 1..])
                && found.is_none_or(|(first, _)| entry.0 < first)
            {
                found = Some(entry);
            }
        }
        found.map(|(_, alpha)| alpha)
    }
}
