//! LoRAs as diffusers and PEFT save them, seen under kohya's names, and the alphas that they keep beside their tensors.
//!
//! Alphas: in the header as `lora_adapter_metadata` (diffusers 0.34 and later), or in `adapter_config.json` beside the
//! file (PEFT); without either the rank counts, as diffusers has it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::keys::peft::{Place, place};
use crate::tensor_file::TensorFile;
use crate::tensors::{Tensors, View};

/// Longest file of settings that is read.
const MAX_SETTINGS: u64 = 1 << 24;

/// A LoRA's tensors under kohya's names.
#[derive(Debug)]
pub(crate) struct Named {
    pub tensors: Tensors,
    /// By module; those that the settings tell.
    pub alphas: BTreeMap<String, f32>,
}

/// The tensors of a file, under kohya's names if they have others; what is not understood keeps its name.
pub(crate) fn named(file: TensorFile, path: &Path) -> Named {
    let names = file.names();
    let places: Vec<(String, Option<Place>)> = names
        .into_iter()
        .map(|name| {
            let place = if name.starts_with("lora_") { None } else { place(&name) };
            (name, place)
        })
        .collect();
    if places.iter().all(|(_, place)| place.is_none()) {
        return Named { tensors: file.into(), alphas: BTreeMap::new() };
    }
    let settings = settings(&file, path);
    let alphas = places.iter().filter_map(|(name, place)| {
        let place = place.as_ref().filter(|place| place.tensor == "lora_down.weight")?;
        Some((place.module.clone(), settings.alpha(place, *file.shape(name)?.first()?)?))
    });
    let alphas = alphas.collect();
    let keys = places.into_iter().map(|(name, place)| {
        let key = place.map_or_else(|| name.clone(), |place| format!("{}.{}", place.module, place.tensor));
        (name, key, View::Same)
    });
    let mut tensors = Tensors::empty(file.label());
    *tensors.metadata_mut() = file.metadata().clone();
    let keys = keys.collect();
    tensors.add(file, keys);
    Named { tensors, alphas }
}

/// What is said about alphas.
#[derive(Default)]
struct Settings {
    values: Value,
    /// One set for each network, with its name and a dot before each key.
    prefixed: bool,
}

fn settings(file: &TensorFile, path: &Path) -> Settings {
    let inside = file.metadata().get("lora_adapter_metadata").and_then(|text| serde_json::from_str(text).ok());
    if let Some(values) = inside {
        return Settings { values, prefixed: true };
    }
    let beside = path.with_file_name("adapter_config.json");
    let small = std::fs::metadata(&beside).is_ok_and(|about| about.len() <= MAX_SETTINGS);
    let read = || serde_json::from_slice(&std::fs::read(&beside).ok()?).ok();
    small.then(read).flatten().map_or_else(Settings::default, |values| Settings { values, prefixed: false })
}

impl Settings {
    fn get(&self, place: &Place, key: &str) -> &Value {
        if self.prefixed { &self.values[format!("{}.{key}", place.network)] } else { &self.values[key] }
    }

    /// The alpha of a module of this rank.
    fn alpha(&self, place: &Place, rank: usize) -> Option<f32> {
        let fits = |key: &str| place.path == key || place.path.ends_with(&format!(".{key}"));
        let own = self.get(place, "alpha_pattern").as_object();
        let own = own.and_then(|all| all.iter().find(|(key, _)| fits(key))).map(|(_, alpha)| alpha);
        let alpha = own.unwrap_or(self.get(place, "lora_alpha")).as_f64()? as f32;
        // Rank-stabilized: scaled by alpha over the root of the rank.
        let stabilized = self.get(place, "use_rslora") == &Value::Bool(true);
        Some(if stabilized { alpha * (rank as f32).sqrt() } else { alpha })
    }
}
