//! The words of a recorded command: its options with their values.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lorabake_recipe::output::SavePrecision;

/// Options and their values.
pub struct Words(BTreeMap<String, Vec<String>>);

impl Words {
    /// Takes a command apart.
    pub fn of(command: &str) -> Self {
        let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut option = String::new();
        for word in command.split_whitespace().skip(1) {
            match word.strip_prefix("--") {
                Some(name) => {
                    option = name.to_string();
                    words.entry(option.clone()).or_default();
                }
                None => words.entry(option.clone()).or_default().push(word.to_string()),
            }
        }
        Self(words)
    }

    /// Whether an option is there.
    pub fn has(&self, option: &str) -> bool {
        self.0.contains_key(option)
    }

    /// All values of an option; nothing without it.
    pub fn all(&self, option: &str) -> &[String] {
        self.0.get(option).map_or(&[], Vec::as_slice)
    }

    /// The one value of an option.
    pub fn one(&self, option: &str) -> Option<&str> {
        self.all(option).first().map(String::as_str)
    }

    /// The numbers of an option.
    ///
    /// # Errors
    /// When one is none.
    pub fn numbers(&self, option: &str) -> Result<Vec<f64>> {
        self.all(option).iter().map(|word| word.parse().with_context(|| format!("{word} is no number"))).collect()
    }

    /// The number of an option, or another.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&self, option: &str, without: f64) -> Result<f64> {
        Ok(self.numbers(option)?.first().copied().unwrap_or(without))
    }

    /// A precision.
    pub fn precision(&self, option: &str) -> Option<SavePrecision> {
        match self.one(option)? {
            "fp16" => Some(SavePrecision::F16),
            "bf16" => Some(SavePrecision::Bf16),
            _ => Some(SavePrecision::F32),
        }
    }
}
