//! Settings of other programs → options: the kohya GUI's JSON, OneTrainer's JSON, and the metadata of a LoRA file.
//!
//! Each source has one file that says which of its settings is which option. What has no counterpart is listed with the
//! reason, never dropped. Whether the options make a recipe is judged afterwards, as for any other.

mod destination;
mod family;
mod gui;
mod imported;
mod ledger;
mod lora;
mod onetrainer;

use std::path::Path;

use serde_json::{Map, Value};

use super::{table, text};
use crate::report::Problem;
pub use imported::{Imported, LeftOut};

/// Reads the settings in a `.json` file of the kohya GUI or of OneTrainer, or those that a LoRA was trained with.
///
/// # Errors
/// In one line, if the file cannot be read or is none of these.
pub fn import(path: &Path) -> Result<Imported, Problem> {
    if path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("safetensors")) {
        return lora::read(path);
    }
    let text = text::read(path).map_err(|unread| unread.problem(path, "a .json or .safetensors file"))?;
    let remedy = "name a preset of the kohya GUI or a configuration of OneTrainer";
    let json = table::json(&text, path).map_err(|problem| Problem { remedy: remedy.to_owned(), ..problem })?;
    of_json(&json, path).unwrap_or_else(|| {
        Err(Problem::of_file(path, "it holds no settings of another program that are known here".into(), remedy))
    })
}

/// Whose settings a JSON file holds.
enum Source {
    OneTrainer,
    Gui,
}

fn source(settings: &Map<String, Value>) -> Option<Source> {
    let has = |keys: &[&str]| keys.iter().any(|key| settings.contains_key(*key));
    if has(&["training_method", "base_model_name", "__version"]) {
        return Some(Source::OneTrainer);
    }
    // These are called otherwise in the GUI.
    let is_recipe = has(&["resolution", "network_module", "optimizer_type"]);
    let is_gui = has(&["LoRA_type", "max_resolution", "LyCORIS_preset"]) || has(&["network_dim"]) && !is_recipe;
    if is_gui { Some(Source::Gui) } else { None }
}

/// The settings in a JSON file of another program; none if it is of no such program. `path` serves the messages only.
pub(crate) fn of_json(json: &Value, path: &Path) -> Option<Result<Imported, Problem>> {
    let Value::Object(settings) = json else { return None };
    let source = source(settings)?;
    if let Some(family) = family::of_preset(&source, settings) {
        return Some(Err(other_family("preset", family, path)));
    }
    Some(Ok(match source {
        Source::OneTrainer => onetrainer::read(settings.clone()),
        Source::Gui => gui::read(settings.clone()),
    }))
}

/// `what` is for a family of models that lorabake does not train.
fn other_family(what: &str, family: &str, path: &Path) -> Problem {
    Problem::of_file(path, format!("it is a {what} for {family}"), "lorabake trains SD 1.x, 2.x and SDXL")
}
