//! Settings of other programs → options: the kohya GUI's JSON, OneTrainer's JSON, and the metadata of a LoRA file.
//!
//! Each source has one file that says which of its settings is which option. What has no counterpart is listed with the
//! reason, never dropped. Whether the options make a recipe is judged afterwards, as for any other.

mod destination;
mod gui;
mod imported;
mod ledger;
mod lora;
mod onetrainer;

use std::path::Path;

use serde_json::Value;

use crate::report::Problem;
pub use imported::{Imported, LeftOut};

/// Reads the settings in a `.json` file of the kohya GUI or of OneTrainer, or those that a LoRA was trained with.
///
/// # Errors
/// In one line, if the file cannot be read or is none of these.
pub fn import(path: &Path) -> Result<Imported, Problem> {
    if path.extension().is_some_and(|suffix| suffix == "safetensors") {
        return lora::read(path);
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("it cannot be read ({error})");
            return Err(Problem::of_file(path, what, "name a .json or .safetensors file that exists"));
        }
    };
    let remedy = "name a preset of the kohya GUI or a configuration of OneTrainer";
    json(&text).map_err(|what| Problem::of_file(path, what, remedy))
}

/// The settings in the text of a JSON file, or what is wrong with it.
fn json(text: &str) -> Result<Imported, String> {
    // Windows programs put a mark before UTF-8.
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(map) = value else { return Err("it holds no settings".to_owned()) };
    let has = |keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
    if has(&["training_method", "base_model_name", "__version"]) {
        Ok(onetrainer::read(map))
    } else if has(&["LoRA_type", "max_resolution", "network_dim", "LyCORIS_preset"]) {
        Ok(gui::read(map))
    } else {
        Err("it holds no settings of LoRA training that are known here".to_owned())
    }
}
