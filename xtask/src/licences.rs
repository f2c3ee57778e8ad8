//! The licences and the origin of all packages that a build may contain, against the lists in `deny.toml`; and the
//! texts of those that a release contains.
//!
//! It needs nothing but cargo and takes seconds, so that `.ci/run` can always ask. cargo-deny reads the same file and
//! asks more (advisories, duplicates); the hosted CI runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What compiles GPU kernels within the program is no package.
const LLVM: &str = "\
LLVM, https://llvm.org: Apache-2.0 WITH LLVM-exception; the Apache licence stands below.
";

/// What is read here of `deny.toml`.
#[derive(Deserialize)]
struct DenyFile {
    licenses: Licences,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    /// Packages that name no licence, with the one that their licence file has.
    #[serde(default)]
    clarify: Vec<Clarified>,
}

#[derive(Deserialize)]
struct Clarified {
    #[serde(rename = "crate")]
    package: String,
    expression: String,
}

/// What is read here of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for our own crates.
    source: Option<String>,
    manifest_path: PathBuf,
}

/// Prints each package that may not be used; true if there is none.
///
/// # Errors
/// If `deny.toml` cannot be read, or cargo cannot list the packages.
pub fn run(root: &Path) -> Result<bool> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let lists = toml::from_str::<DenyFile>(&text).context("deny.toml")?.licenses;
    let packages = packages(root)?;
    let mut refused = 0;
    for package in &packages {
        if let Some(reason) = refusal(package, &lists) {
            println!("{} {}: {reason}", package.name, package.version);
            refused += 1;
        }
    }
    println!("licences: {} packages, {refused} refused", packages.len());
    Ok(refused == 0)
}

/// What the licences of other people's packages want to go with a program that contains them: who they are, and their
/// texts. `features` are those that the program is built with, as cargo takes them.
///
/// # Errors
/// If cargo cannot list the packages, or a text cannot be read.
pub fn texts(root: &Path, features: &str) -> Result<String> {
    let tree = ["tree", "--package=lorabake", "--edges=normal", "--prefix=none", "--format={p}", "--locked"];
    let tree = output_of(Command::new("cargo").args(tree).args(["--features", features]).current_dir(root))?;
    let tree = String::from_utf8(tree).context("cargo tree")?;
    // `half v2.7.1 (proc-macro)`: name and version are enough.
    let built_in: BTreeSet<String> =
        tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let mut list =
        String::from("lorabake contains these packages. Their sources are at https://crates.io/crates/NAME.\n\n");
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages(root)? {
        let name = format!("{} v{}", package.name, package.version);
        if package.source.is_none() || !built_in.contains(&name) {
            continue;
        }
        let licence = package.license.as_deref().unwrap_or("see its text below");
        list.push_str(&format!("{name}: {licence}\n"));
        for text in licence_files(&package.manifest_path)? {
            users.entry(text).or_default().push(name.clone());
        }
    }
    if features.contains("cuda") || features.contains("rocm") {
        list.push_str(LLVM);
    }
    for (text, names) in users {
        list.push_str(&format!("\n{}\n{}\n\n{}\n", "=".repeat(80), names.join(", "), text.trim_end()));
    }
    Ok(list)
}

/// The texts of the licence files beside the manifest of a package.
fn licence_files(manifest: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(manifest.parent().context("a manifest without a folder")?)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_licence =
            ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|word| name.starts_with(word));
        if is_licence && path.is_file() {
            let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
            texts.push(String::from_utf8_lossy(&text).replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

/// All packages that a build with any features may contain.
fn packages(root: &Path) -> Result<Vec<Package>> {
    let arguments = ["metadata", "--format-version=1", "--locked", "--all-features"];
    let listed = output_of(Command::new("cargo").args(arguments).current_dir(root))?;
    let metadata: Metadata = serde_json::from_slice(&listed).context("cargo metadata")?;
    Ok(metadata.packages)
}

fn output_of(cargo: &mut Command) -> Result<Vec<u8>> {
    let output = cargo.output().context("cargo does not start")?;
    ensure!(output.status.success(), "cargo: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// Why a package may not be used, if so.
fn refusal(package: &Package, lists: &Licences) -> Option<String> {
    if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
        return Some("does not come from crates.io; use a release that is published there".into());
    }
    let clarified = lists.clarify.iter().find(|clarified| clarified.package == package.name);
    let expression = clarified.map(|clarified| &clarified.expression).or(package.license.as_ref());
    let Some(expression) = expression else {
        return Some("names no licence; read its licence file and put it under licenses.clarify in deny.toml".into());
    };
    if is_allowed(expression, &lists.allow) {
        return None;
    }
    Some(format!(
        "`{expression}` is not covered by licenses.allow in deny.toml; leave it out, or allow it with a reason"
    ))
}

/// Whether a licence expression (SPDX, or the older form with `/` for `OR`) can be met with the licences in `allow`.
fn is_allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allow };
    let allowed = reader.any();
    allowed && reader.words.is_empty()
}

/// Reads an expression word by word; `AND` binds closer than `OR`.
struct Reader<'a> {
    words: &'a [&'a str],
    allow: &'a [String],
}

impl Reader<'_> {
    /// Takes the next word if it is `word`.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn any(&mut self) -> bool {
        let mut allowed = self.all();
        while self.takes("OR") {
            let other = self.all();
            allowed = allowed || other;
        }
        allowed
    }

    fn all(&mut self) -> bool {
        let mut allowed = self.one();
        while self.takes("AND") {
            let other = self.one();
            allowed = allowed && other;
        }
        allowed
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let allowed = self.any();
            return self.takes(")") && allowed;
        }
        let Some((licence, rest)) = self.words.split_first() else { return false };
        self.words = rest;
        let mut name = (*licence).to_owned();
        if self.takes("WITH") {
            let Some((exception, rest)) = self.words.split_first() else { return false };
            self.words = rest;
            name = format!("{name} WITH {exception}");
        }
        self.allow.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(license: Option<&str>, source: &str) -> Package {
        let license = license.map(str::to_owned);
        let source = Some(source.to_owned());
        Package { name: "a".into(), version: "1.0.0".into(), license, source, manifest_path: PathBuf::new() }
    }

    #[test]
    fn expressions_are_met_or_not() {
        let allow = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        for fine in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "MIT AND ISC",
            "(GPL-3.0 OR MIT) AND ISC",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
            "GPL-3.0 OR MIT AND ISC",
        ] {
            assert!(is_allowed(fine, &allow), "{fine}");
        }
        for refused in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "MIT ISC", "(MIT", "ISC WITH x"] {
            assert!(!is_allowed(refused, &allow), "{refused}");
        }
    }

    #[test]
    fn packages_need_a_licence_and_come_from_the_registry() {
        let clarify = vec![Clarified { package: "a".into(), expression: "MIT".into() }];
        let clarified = Licences { allow: vec!["MIT".into()], clarify };
        let lists = Licences { allow: vec!["MIT".into()], clarify: Vec::new() };
        assert_eq!(refusal(&package(Some("MIT"), REGISTRY), &lists), None);
        assert_eq!(refusal(&package(None, REGISTRY), &clarified), None);
        assert!(refusal(&package(None, REGISTRY), &lists).unwrap().starts_with("names no licence"));
        assert!(refusal(&package(Some("GPL-3.0"), REGISTRY), &lists).unwrap().contains("is not covered"));
        let elsewhere = package(Some("MIT"), "git+https://example.org/a");
        assert!(refusal(&elsewhere, &lists).unwrap().starts_with("does not come from crates.io"));
    }
}
