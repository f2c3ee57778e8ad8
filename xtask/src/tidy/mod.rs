//! `cargo xtask tidy`: the house rules that a program can check. Changes no file.
//!
//! rustfmt, clippy and the compiler have their own rules; here are those of STYLE.md (sizes, names, unfinished work,
//! machine paths) and of ARCHITECTURE.md (who may use whom). After rust-analyzer's test of the same name.

mod crates;
mod source;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::Result;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// File, with its line where there is one.
    place: String,
    /// What is wrong, and what to do.
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }

    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self::new(format!("{path}:{line}"), what)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Checks the repository at `root` and prints what it finds; true if that is nothing.
///
/// # Errors
/// If the files cannot be listed or read.
pub fn run(root: &Path) -> Result<bool> {
    let files = tree::read(root)?;
    let mut findings = crates::check(root)?;
    for file in &files {
        findings.extend(text::check(file));
        if let Some(source) = file.rust() {
            findings.extend(source::check(&file.path, source));
        }
    }
    findings.sort();
    findings.iter().for_each(|finding| println!("{finding}"));
    let sources = files.iter().filter(|file| file.rust().is_some()).count();
    match findings.len() {
        0 => println!("tidy: {} files, {sources} of them Rust", files.len()),
        1 => println!("tidy: 1 finding"),
        many => println!("tidy: {many} findings"),
    }
    Ok(findings.is_empty())
}
