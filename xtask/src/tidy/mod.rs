//! `cargo xtask tidy`: the house rules that a program can check. Changes no file.
//!
//! rustfmt, clippy and the compiler have their own rules; here are those of STYLE.md (sizes, names, unfinished work,
//! machine paths) and of ARCHITECTURE.md (who may use whom). After rust-analyzer's test of the same name.

mod circles;
mod counts;
mod crates;
mod doc_sections;
mod imports;
mod modules;
mod source;
mod subjects;
mod text;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};
use modules::Source;

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

/// Checks the repository at `root` and prints what it finds; true if that is nothing. With `--counts` in `args` it
/// prints how the code is written, in numbers, and checks nothing.
///
/// # Errors
/// If the files cannot be listed or read, or `args` are not understood.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let counts_wanted = match args {
        [] => false,
        [option] if option == "--counts" => true,
        [other, ..] => bail!("`{other}` is not known; use --counts, or nothing"),
    };
    let files = tree::read(root)?;
    let mut findings = crates::check(root)?;
    findings.extend(subjects::check(root)?);
    let mut sources = Vec::new();
    for file in &files {
        findings.extend(text::check(file));
        let Some(text) = file.rust() else { continue };
        match syn::parse_file(text) {
            Ok(syntax) => sources.push(Source { path: &file.path, text, syntax }),
            Err(error) => {
                let line = error.span().start().line;
                findings.push(Finding::at(&file.path, line, format!("not Rust: {error}")));
            }
        }
    }
    for source in &sources {
        findings.extend(source::check(source));
        findings.extend(doc_sections::check(source));
    }
    let crates = modules::by_crate(&sources);
    if counts_wanted {
        counts::print(&crates);
        return Ok(true);
    }
    for own in &crates {
        findings.extend(circles::check(own));
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
