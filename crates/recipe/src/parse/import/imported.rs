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
    /// Its name in the file.
    pub key: String,
    /// Its value, shortened.
    pub value: String,
    /// Why it is left out, or what to do instead.
    pub why: String,
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
            self.left_out_lines().iter().for_each(|line| text += &format!("#   {line}\n"));
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
    // A warmup may be a share with a percent sign, but is a number as a rule.
    let is_text = name != "lr_warmup_steps"
        && arg.is_some_and(|arg| {
            let id = arg.get_value_parser().type_id();
            id == TypeId::of::<String>() || id == TypeId::of::<PathBuf>()
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
