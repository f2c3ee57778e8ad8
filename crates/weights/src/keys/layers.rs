//! The weights of a checkpoint by the names that modules of nets have for their layers.
//!
//! Where a checkpoint joins queries, keys and values in one matrix, three names stand for thirds of its rows.

use std::collections::BTreeMap;

use lorabake_recipe::model::Family;

use super::kohya::KohyaNames;
use super::{Part, diffusers_names, text, webui};

/// Where a checkpoint keeps the weight and bias of a layer or a norm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerKeys {
    /// The part of the model.
    pub part: Part,
    /// The path of the layer in that part, as diffusers and transformers have it.
    pub path: String,
    /// kohya's name of the module.
    pub module: String,
    /// The key of the weight.
    pub weight: String,
    /// The key of the bias; the file may not have it.
    pub bias: String,
    /// Which third of the rows is meant, where three layers are one tensor.
    pub third: Option<usize>,
}

/// The layers of a checkpoint with keys `names`.
pub fn layers(family: Family, names: &[&str]) -> Vec<LayerKeys> {
    let kohya = KohyaNames::of(names);
    let mut layers = Vec::new();
    for part in Part::of(family) {
        for (key, name) in diffusers_names(*part, names) {
            let Some(path) = name.as_deref().and_then(|name| name.strip_suffix(".weight")) else { continue };
            let (bias, joined) = match key.strip_suffix("weight") {
                Some(start) => (format!("{start}bias"), path.strip_suffix(text::FUSED)),
                // Embeddings of positions and a projection, which nets leave alone.
                None => continue,
            };
            let mut add = |path: String, third| {
                let Some(module) = kohya.module(*part, &path) else { return };
                layers.push(LayerKeys {
                    part: *part,
                    path,
                    module,
                    weight: key.to_string(),
                    bias: bias.clone(),
                    third,
                });
            };
            match joined {
                Some(start) => {
                    for (third, name) in text::JOINED.iter().enumerate() {
                        add(format!("{start}{name}"), Some(third));
                    }
                }
                None => add(path.to_string(), None),
            }
        }
    }
    layers
}

/// All names by which files of nets may call the layers of a checkpoint → the number of the layer in `layers`.
pub fn by_module(family: Family, names: &[&str], layers: &[LayerKeys]) -> BTreeMap<String, usize> {
    let kohya = KohyaNames::of(names);
    let mut by_module = BTreeMap::new();
    for (index, layer) in layers.iter().enumerate() {
        let mut called = vec![layer.module.clone()];
        called.extend(kohya.others(layer.part, &layer.path));
        called.extend(webui::layer_name(family, &kohya, layer.part, &layer.path));
        for name in called {
            by_module.entry(name).or_insert(index);
        }
    }
    by_module
}
