//! What was read from another program's file, and how it becomes options or a recipe file.

use std::any::TypeId;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Command};

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

/// Longest name and longest value that are shown of a setting without counterpart.
const SHOWN: usize = 60;

/// Parts of names whose values are for nobody else to see.
const SECRET: [&str; 8] = ["token", "api_key", "apikey", "api-key", "password", "passwd", "secret", "credential"];

/// What has to do with the tokens of captions.
const OF_CAPTIONS: [&str; 5] = ["tokens", "tokeniz", "token_length", "token_warmup", "token_padding"];

/// Whether the value that goes by this name may be a secret.
pub(super) fn names_a_secret(name: &str) -> bool {
    let mut plain = name.to_ascii_lowercase();
    for word in OF_CAPTIONS {
        plain = plain.replace(word, "");
    }
    SECRET.iter().any(|secret| plain.contains(secret))
}

impl LeftOut {
    pub(super) fn new(key: &str, value: &str, why: &str) -> Self {
        let holds_settings = value.trim_start().starts_with(['{', '[']) || key == "additional_parameters";
        let is_secret = names_a_secret(key) || holds_settings && names_a_secret(value);
        let value = if is_secret { "(not shown)".to_owned() } else { shortened(value) };
        Self { key: shortened(key), value, why: one_line(why) }
    }
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
        let mut places: HashMap<&str, usize> = HashMap::new();
        for LeftOut { key, value, why } in &self.left_out {
            let setting = format!("{key} = {value}");
            let place = *places.entry(why).or_insert(lines.len());
            match lines.get_mut(place) {
                Some((_, settings)) => settings.push(setting),
                None => lines.push((why, vec![setting])),
            }
        }
        lines.into_iter().map(|(why, settings)| format!("{}: {why}", settings.join(", "))).collect()
    }

    /// A recipe file that `--config_file` reads; what has no counterpart stands above it as comments.
    ///
    /// The keys of the file are exactly the options, whatever stands in names and values.
    pub fn to_toml(&self) -> String {
        let mut text = format!("# imported from {}\n", self.source);
        if !self.left_out.is_empty() {
            text += "# without counterpart here:\n";
            for line in self.left_out_lines() {
                text += &format!("#   {line}\n");
            }
        }
        text.push('\n');
        let command = command();
        for (name, values) in &self.options {
            text += &format!("{name} = {}\n", toml_value(&command, name, values));
        }
        text
    }
}

/// The values of an option as TOML, of the type that the option has.
fn toml_value(command: &Command, name: &str, values: &[String]) -> String {
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

/// One value as TOML: without quotation marks only where TOML itself reads a number, true or false.
fn toml_scalar(value: &str, is_quoted: bool) -> String {
    let is_word = value.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    if is_word && !is_quoted {
        let read: Option<toml::Table> = format!("x = {value}").parse().ok();
        let read = read.and_then(|mut table| table.remove("x"));
        if let Some(toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_)) = read {
            return value.to_owned();
        }
    }
    toml_string(value)
}

/// A text as TOML, with everything escaped that is not seen.
fn toml_string(text: &str) -> String {
    if !text.contains(is_unseen) {
        return toml::Value::String(text.to_owned()).to_string();
    }
    let mut escaped = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => escaped.extend(['\\', letter]),
            letter if is_unseen(letter) => escaped += &format!("\\u{:04X}", u32::from(letter)),
            letter => escaped.push(letter),
        }
    }
    escaped + "\""
}

/// A text within one line, for a comment.
fn one_line(text: &str) -> String {
    let seen = |letter: char| if is_unseen(letter) { '\u{fffd}' } else { letter };
    text.replace(['\n', '\t'], " ").chars().map(seen).collect()
}

fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    one_line(&shown)
}

/// What ends or turns a line, controls a terminal, or is not seen at all.
fn is_unseen(letter: char) -> bool {
    let is_mark =
        matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    letter.is_control() || is_mark
}
