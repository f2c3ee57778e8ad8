//! Settings of other programs → options: the kohya GUI's JSON, OneTrainer's JSON, and the metadata of a LoRA file.
//!
//! Each source has one file that says which of its settings is which option. What has no counterpart is listed with the
//! reason, never dropped. Whether the options make a recipe is judged afterwards, as for any other.

mod gui;
mod ledger;
mod lora;
mod onetrainer;

use std::path::Path;

use clap::ArgAction;
use serde_json::Value;

use crate::argv::Given;
use crate::parse;
use crate::report::Problem;
use ledger::Ledger;

/// What a file of another program says in the words of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Whose settings they are, for messages.
    pub source: &'static str,
    /// Options with their values as text, in reading order.
    pub options: Vec<(String, Vec<String>)>,
    /// What has no counterpart.
    pub left_out: Vec<LeftOut>,
}

/// A setting that has no counterpart in a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name in the file.
    pub key: String,
    /// Its value, shortened.
    pub value: String,
    /// Why it is left out, or what to do instead.
    pub why: String,
}

/// Reads the settings in a `.json` file of the kohya GUI or of OneTrainer, or those that a LoRA was trained with.
///
/// # Errors
/// In one line, if the file cannot be read or is none of these.
pub fn import(path: &Path) -> Result<Imported, Problem> {
    if path.extension().is_some_and(|suffix| suffix == "safetensors") {
        return lora::read(path);
    }
    let problem = |what: String, remedy: &str| Problem {
        option: None,
        what,
        remedy: remedy.to_owned(),
        file: Some(path.to_owned()),
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        problem(format!("it cannot be read ({error})"), "name a .json or .safetensors file that exists")
    })?;
    json(&text).map_err(|what| problem(what, "name a preset of the kohya GUI or a configuration of OneTrainer"))
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

impl Imported {
    /// The options as if they stood in the recipe file `path`.
    pub(crate) fn givens(&self, path: &Path) -> Vec<Given> {
        let given = |(name, values): &(String, Vec<String>)| Given {
            name: name.clone(),
            values: values.clone(),
            file: Some(path.to_owned()),
        };
        self.options.iter().map(given).collect()
    }

    /// What has no counterpart, one line for each reason: `a = 1, b = 2: why`.
    pub fn told(&self) -> Vec<String> {
        let mut lines: Vec<(&str, Vec<String>)> = Vec::new();
        for LeftOut { key, value, why } in &self.left_out {
            let setting = format!("{key} = {value}");
            match lines.iter_mut().find(|(known, _)| known == why) {
                Some((_, settings)) => settings.push(setting),
                None => lines.push((why, vec![setting])),
            }
        }
        lines.into_iter().map(|(why, settings)| format!("{}: {why}", settings.join(", "))).collect()
    }

    /// A recipe file that `--config_file` reads; what has no counterpart stands above it as comments.
    pub fn to_toml(&self) -> String {
        let mut text = format!("# imported from {}\n", self.source);
        if !self.left_out.is_empty() {
            text += "# without counterpart here:\n";
            self.told().iter().for_each(|line| text += &format!("#   {line}\n"));
        }
        text.push('\n');
        for (name, values) in &self.options {
            text += &format!("{name} = {}\n", toml_value(name, values));
        }
        text
    }
}

/// The values of an option as TOML, of the type that the option has.
fn toml_value(name: &str, values: &[String]) -> String {
    let command = parse::command();
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name));
    // A warmup may be a share with a percent sign, but is a number as a rule.
    let is_text = name != "lr_warmup_steps"
        && arg.is_some_and(|arg| {
            let id = arg.get_value_parser().type_id();
            id == std::any::TypeId::of::<String>() || id == std::any::TypeId::of::<std::path::PathBuf>()
        });
    let plain = |value: &String| {
        let number = value.parse::<f64>().is_ok_and(f64::is_finite);
        match value.as_str() {
            "true" | "false" if !is_text => value.clone(),
            _ if number && !is_text => value.clone(),
            _ => toml::Value::String(value.clone()).to_string(),
        }
    };
    match (values, arg.is_some_and(|arg| matches!(arg.get_action(), ArgAction::Append))) {
        ([only], false) => plain(only),
        _ => format!("[{}]", values.iter().map(plain).collect::<Vec<_>>().join(", ")),
    }
}
