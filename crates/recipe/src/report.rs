//! What a recipe's author should know: problems that stop the run, and notes about what an option will (not) do.
//!
//! Nothing is printed here; the command line and the web form show these values in their own way.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A number of things in words: `1 epoch`, `2 epochs`.
pub fn count<N: fmt::Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    if number == N::from(1) { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Something that must be put right before training can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Name of the option, without dashes; `None` if what was typed is no option at all.
    pub option: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The recipe file that it was read from; `None` = the command line, or the whole recipe.
    pub file: Option<PathBuf>,
}

impl Problem {
    /// What is wrong with a file as a whole.
    pub(crate) fn of_file(path: &Path, what: String, remedy: &str) -> Self {
        Self { option: None, what, remedy: remedy.to_owned(), file: Some(path.to_owned()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(option) = &self.option {
            write!(f, "{}{option}: ", if self.file.is_some() { "" } else { "--" })?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

/// Every problem of a recipe, in the order in which they were found; never empty inside an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 problem with the recipe:")?,
            count => write!(f, "{count} problems with the recipe:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Something that the author should know, though training goes on: an option without effect, a default that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Name of the option, without dashes.
    pub option: String,
    /// One plain sentence.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}: {}", self.option, self.text)
    }
}

/// Largest amount that is taken: what is computed with it stays within the range of 32-bit floats.
pub(crate) const LARGEST: f64 = 1e9;

/// A number as people write it: without hundreds of zeros.
pub(crate) fn shown(value: f64) -> String {
    if value.is_finite() && value.abs() >= 1e15 { format!("{value:e}") } else { value.to_string() }
}

/// Collects problems and notes while a recipe is read and resolved, so that all are reported at once.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
}

impl Report {
    pub(crate) fn problem(&mut self, option: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let option = Some(option.to_owned());
        self.problems.push(Problem { option, what: what.into(), remedy: remedy.into(), file: None });
    }

    pub(crate) fn note(&mut self, option: &str, text: impl Into<String>) {
        self.notes.push(Note { option: option.to_owned(), text: text.into() });
    }

    /// `given` or `default`; a problem if it is 0.
    pub(crate) fn count(&mut self, option: &str, given: Option<u32>, default: u32) -> u32 {
        if given == Some(0) {
            self.problem(option, "0 makes no sense", "use 1 or more");
            return default;
        }
        given.unwrap_or(default)
    }

    /// `given` or `default`; a problem unless it is finite, not negative, and no more than 32-bit floats bear.
    pub(crate) fn amount(&mut self, option: &str, given: Option<f64>, default: f64) -> f64 {
        match given {
            Some(value) if !(value.is_finite() && value >= 0.0) => {
                let what = format!("{} is not an amount", shown(value));
                self.problem(option, what, "use a number that is 0 or more");
                default
            }
            Some(value) if value > LARGEST => {
                self.problem(option, format!("{} is too large", shown(value)), format!("use {LARGEST:e} or less"));
                default
            }
            _ => given.unwrap_or(default),
        }
    }

    /// `given`, or `None` if it is 0 or absent; a problem unless it is finite and not negative.
    pub(crate) fn amount_above_zero(&mut self, option: &str, given: Option<f64>) -> Option<f64> {
        let amount = self.amount(option, given, 0.0);
        if amount > 0.0 { Some(amount) } else { None }
    }

    /// `given` or 0; a problem unless it lies between 0 and 1.
    pub(crate) fn share(&mut self, option: &str, given: Option<f64>) -> f64 {
        match given {
            Some(value) if !(0.0..=1.0).contains(&value) => {
                self.problem(
                    option,
                    format!("{} is not a share", shown(value)),
                    "use a number from 0 to 1, such as 0.1",
                );
                0.0
            }
            _ => given.unwrap_or(0.0),
        }
    }
}
