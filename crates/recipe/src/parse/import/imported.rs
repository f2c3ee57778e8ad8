//! What was read from another program's file, and how it becomes options or a recipe file.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::ArgAction;

use crate::parse::argv::Given;
use crate::parse::command::command;

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
    /// Name of the setting in the file.
    pub key: String,
    /// Value of the setting, shortened.
    pub value: String,
    /// Why it is left out, or what to do instead.
    pub why: String,
}

impl Imported {
    /// The options as if they stood in the recipe file `path`.
    pub(crate) fn givens(&self, path: &Path) -> Vec<Given> {
        let mut givens = Vec::new();
        for (name, values) in &self.options {
            givens.push(Given { name: name.clone(), values: values.clone(), file: Some(path.to_owned()) });
        }
        givens
    }

    /// What has no counterpart, one line for each reason: `a = 1, b = 2: why`.
    pub fn left_out_lines(&self) -> Vec<String> {
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
            for line in self.left_out_lines() {
                text += &format!("#   {line}\n");
            }
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
    let command = command();
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name));
    let is_list = arg.is_some_and(|arg| matches!(arg.get_action(), ArgAction::Append));
    let type_id = arg.map(|arg| arg.get_value_parser().type_id());
    let is_text = type_id.is_some_and(|id| id == TypeId::of::<String>() || id == TypeId::of::<PathBuf>());
    // A warmup may be a share with a percent sign, but is a number as a rule.
    let is_quoted = is_text && name != "lr_warmup_steps";
    let written: Vec<String> = values.iter().map(|value| toml_scalar(value, is_quoted)).collect();
    match written.as_slice() {
        [only] if !is_list => only.clone(),
        _ => format!("[{}]", written.join(", ")),
    }
}

/// One value as TOML: without quotation marks only where it is a number, true or false.
fn toml_scalar(value: &str, is_quoted: bool) -> String {
    let is_number = value.parse::<f64>().is_ok_and(f64::is_finite);
    let is_flag = matches!(value, "true" | "false");
    if (is_number || is_flag) && !is_quoted {
        value.to_owned()
    } else {
        toml::Value::String(value.to_owned()).to_string()
    }
}
