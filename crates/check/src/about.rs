//! What a check is called, what it looks at and from where on it speaks.

use crate::finding::Scope;

/// A check as documentation and settings know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About {
    /// Its name, such as `img.small`.
    pub id: &'static str,
    /// What its findings are about.
    pub scope: Scope,
    /// What it looks for, in one sentence.
    pub what: &'static str,
    /// Its numbers, which `lorabake-check.toml` may change.
    pub thresholds: &'static [Threshold],
}

/// A number of a check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Its name.
    pub name: &'static str,
    /// What it is unless changed.
    pub value: f64,
    /// What it bounds.
    pub what: &'static str,
}

impl Threshold {
    /// A number with its name and meaning.
    pub const fn new(name: &'static str, value: f64, what: &'static str) -> Self {
        Self { name, value, what }
    }
}
