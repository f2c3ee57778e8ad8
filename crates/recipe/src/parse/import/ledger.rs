//! The books of an import: settings go in, options and what is left out come out, and nothing is lost between.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::imported::{Imported, LeftOut, names_a_secret};
use crate::parse::command::is_place;

/// Why a setting that nobody knows is left out.
const UNKNOWN: &str = "there is no such setting here";

/// Settings on their way into options.
pub(super) struct Ledger {
    settings: Map<String, Value>,
    options: Vec<(String, Vec<String>)>,
    /// Where each option stands among them.
    places: HashMap<String, usize>,
    left_out: Vec<LeftOut>,
}

impl Ledger {
    pub(super) fn new(settings: Map<String, Value>) -> Self {
        Self { settings, options: Vec::new(), places: HashMap::new(), left_out: Vec::new() }
    }

    /// Takes a setting out of the books; `None` if it is not there or empty.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.settings.remove(key).filter(|value| !is_empty(value))
    }

    /// Takes a setting, as text.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.take(key).map(|value| text(&value))
    }

    /// Takes a setting that is a number, be it written as text.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        self.text(key)?.trim().parse().ok()
    }

    /// Takes a setting that is a number above 0; others are forgotten.
    pub(super) fn positive(&mut self, key: &str) -> Option<f64> {
        self.number(key).filter(|number| *number > 0.0)
    }

    /// Writes an option down; a later one replaces an earlier one.
    pub(super) fn give(&mut self, option: &str, value: impl ToString) {
        self.give_list(option, vec![value.to_string()]);
    }

    /// Writes a list down, unless it is empty. A word that can be no option's name has no counterpart.
    pub(super) fn give_list(&mut self, option: &str, values: Vec<String>) {
        if values.is_empty() {
            return;
        }
        if !is_name(option) {
            return self.refuse(option, &values.join(" "), UNKNOWN);
        }
        if is_place(option) {
            return self.refuse(option, &values.join(" "), "it belongs on the command line");
        }
        if names_a_secret(option) {
            return self.refuse(option, &values.join(" "), "it belongs into no recipe");
        }
        match self.places.get(option) {
            Some(place) => self.options[*place].1 = values,
            None => {
                self.places.insert(option.to_owned(), self.options.len());
                self.options.push((option.to_owned(), values));
            }
        }
    }

    /// The number that an option was given.
    pub(super) fn given(&self, option: &str) -> Option<f64> {
        let (_, values) = &self.options[*self.places.get(option)?];
        values.first()?.parse().ok()
    }

    /// The setting `key` is the option `option`; what is switched off is left out.
    pub(super) fn copy(&mut self, key: &str, option: &str) {
        match self.take(key) {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Array(values)) => self.give_list(option, values.iter().map(text).collect()),
            Some(value) => self.give(option, text(&value)),
        }
    }

    /// The setting `key` is the option `option`; 0 stands for off, and what is off is left out.
    pub(super) fn copy_unless_zero(&mut self, key: &str, option: &str) {
        if let Some(value) = self.take(key).filter(|value| !is_off(value)) {
            self.give(option, text(&value));
        }
    }

    /// Leaves settings out for this reason, unless they are off.
    pub(super) fn leave(&mut self, keys: &[&str], why: &str) {
        for key in keys {
            if let Some(value) = self.take(key).filter(|value| !is_off(value)) {
                self.refuse(key, &text(&value), why);
            }
        }
    }

    /// Notes down a setting that has been taken and cannot be used.
    pub(super) fn refuse(&mut self, key: &str, value: &str, why: &str) {
        self.left_out.push(LeftOut::new(key, value, why));
    }

    /// Passes over settings that the other program does not use either.
    pub(super) fn forget(&mut self, keys: &[&str]) {
        for key in keys {
            self.settings.remove(*key);
        }
    }

    /// Closes the books; what is still there and not off has no counterpart.
    pub(super) fn close(mut self, source: &'static str) -> Imported {
        let keys: Vec<String> = self.settings.keys().cloned().collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.leave(&keys, UNKNOWN);
        Imported { source, options: self.options, left_out: self.left_out }
    }
}

/// Whether a word can be the name of an option.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Whether nothing is said at all.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a value stands for off.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            let text = text.trim();
            text.parse() == Ok(0.0_f64)
                || ["", "none", "no", "never", "false"].iter().any(|off| text.eq_ignore_ascii_case(off))
        }
        value => is_empty(value),
    }
}

/// A value as options are typed: 10.0 becomes 10.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
        other => other.to_string(),
    }
}
