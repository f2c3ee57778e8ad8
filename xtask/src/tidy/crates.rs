//! Rules for the crates together: who may use whom, their order, and that ARCHITECTURE.md tells it as it is.
//!
//! Reads the Cargo.toml files as they are written, not cargo's resolved graph: it is the written ones that people edit.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Finding;

/// Which of our crates a crate may use.
#[derive(Clone, Copy)]
enum May {
    /// These.
    Use(&'static [&'static str]),
    /// All that stand before it in [`MAY_USE`].
    UseAllBefore,
}

/// Which of our crates each of them may use, after design and data flow; what it does use stands in ARCHITECTURE.md.
const MAY_USE: [(&str, May); 23] = [
    ("recipe", May::Use(&[])),
    ("pixels", May::Use(&[])),
    ("onnx", May::Use(&[])),
    ("vision", May::Use(&["pixels", "onnx"])),
    ("data", May::Use(&["recipe", "pixels"])),
    ("weights", May::Use(&["recipe"])),
    ("tags", May::Use(&["recipe", "pixels", "data", "weights"])),
    ("check", May::Use(&["recipe", "pixels", "data", "tags"])),
    ("surgery", May::Use(&["recipe", "weights"])),
    ("ops", May::Use(&[])),
    ("device", May::Use(&["recipe", "ops"])),
    ("adapter", May::Use(&["recipe", "ops"])),
    ("model", May::Use(&["vision", "weights", "ops", "adapter"])),
    ("lora", May::Use(&["recipe", "weights", "adapter", "model"])),
    ("diffusion", May::Use(&["recipe"])),
    (
        "generate",
        May::Use(&["recipe", "pixels", "vision", "weights", "ops", "device", "adapter", "model", "lora", "diffusion"]),
    ),
    ("optim", May::Use(&["recipe"])),
    ("train", May::UseAllBefore),
    ("judge", May::UseAllBefore),
    ("cli", May::UseAllBefore),
    ("testkit", May::Use(&[])),
    (
        "replay",
        May::Use(&[
            "recipe",
            "pixels",
            "weights",
            "ops",
            "device",
            "adapter",
            "model",
            "lora",
            "diffusion",
            "generate",
        ]),
    ),
    ("xtask", May::UseAllBefore),
];
/// Crates whose tests take seconds, because they never build the engine.
const WITHOUT_ENGINE: [&str; 9] =
    ["recipe", "pixels", "vision", "data", "weights", "tags", "check", "surgery", "optim"];
const ENGINE: &str = "burn";

/// A member of the workspace.
#[derive(Debug, Clone, Default, PartialEq)]
struct Crate {
    /// The name of the crate's folder.
    name: String,
    /// Our own crates that it needs, by folder name, in the order of the workspace.
    uses: Vec<String>,
    /// Our own crates that only its tests need.
    tests_use: Vec<String>,
    /// Needs a crate of the engine.
    engine: bool,
}

/// Reads the Cargo.toml files and ARCHITECTURE.md at `root`, and checks them.
///
/// # Errors
/// If a file is missing, or a manifest is no TOML.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"));
    let members = members(&read("Cargo.toml")?.parse().context("Cargo.toml")?);
    let mut manifests = Vec::new();
    for member in &members {
        let path = format!("{member}/Cargo.toml");
        manifests.push((member.as_str(), read(&path)?.parse::<Table>().context(path)?));
    }
    let crates = crates(&manifests);
    let mut findings: Vec<Finding> = crates.iter().flat_map(|own| directions(own, &crates)).collect();
    findings.extend(told(&read("ARCHITECTURE.md")?, &crates));
    Ok(findings)
}

fn members(workspace: &Table) -> Vec<String> {
    let list = workspace.get("workspace").and_then(|table| table.get("members")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn crates(manifests: &[(&str, Table)]) -> Vec<Crate> {
    let mut crates = Vec::new();
    for (member, manifest) in manifests {
        let needs = dependencies(manifest, &["dependencies", "build-dependencies"]);
        let tests = dependencies(manifest, &["dev-dependencies"]);
        crates.push(Crate {
            name: folder(member),
            uses: ours(manifests, &needs),
            tests_use: ours(manifests, &tests),
            engine: needs.iter().chain(&tests).any(|name| name == ENGINE || name.starts_with("burn-")),
        });
    }
    crates
}

/// The last part of a member's path.
fn folder(member: &str) -> String {
    member.rsplit('/').next().unwrap_or(member).to_owned()
}

/// The folders of those of our crates whose packages are called by one of `names`, in the order of the workspace.
fn ours(manifests: &[(&str, Table)], names: &[String]) -> Vec<String> {
    let mut folders = Vec::new();
    for (member, manifest) in manifests {
        let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        if package.is_some_and(|package| names.iter().any(|name| name == package)) {
            folders.push(folder(member));
        }
    }
    folders
}

/// Names in the sections `kinds`, those for single platforms included.
fn dependencies(manifest: &Table, kinds: &[&str]) -> Vec<String> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(platforms.filter_map(Value::as_table));
    let sections = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    sections.flat_map(Table::keys).cloned().collect()
}

/// The crates that the crate called `name` may use; none for one that is not known.
fn may_use(name: &str) -> Option<Vec<&'static str>> {
    let at = MAY_USE.iter().position(|(known, _)| *known == name)?;
    Some(match MAY_USE[at].1 {
        May::Use(crates) => crates.to_vec(),
        May::UseAllBefore => MAY_USE[..at].iter().map(|(name, _)| *name).collect(),
    })
}

/// Whether `own` uses only what stands before it and what it may.
fn directions(own: &Crate, crates: &[Crate]) -> Vec<Finding> {
    let place = format!("{} (Cargo.toml)", own.name);
    let Some(may_use) = may_use(&own.name) else {
        let what = "a crate that xtask/src/tidy/crates.rs does not know; say there what it may use";
        return vec![Finding::new(place, what)];
    };
    let position = |name: &str| crates.iter().position(|other| other.name == name);
    let mut findings = Vec::new();
    for used in &own.uses {
        if !may_use.contains(&used.as_str()) {
            let what = format!("may not use {used}; see the arrows in ARCHITECTURE.md");
            findings.push(Finding::new(&place, what));
        } else if position(used) > position(&own.name) {
            let what =
                format!("stands before {used}, which it uses; put the members of the workspace in data-flow order");
            findings.push(Finding::new(&place, what));
        }
    }
    let tests = own.tests_use.iter().filter(|used| *used != "testkit" && !may_use.contains(&used.as_str()));
    findings.extend(tests.map(|used| Finding::new(&place, format!("its tests may not use {used}"))));
    if own.engine && WITHOUT_ENGINE.contains(&own.name.as_str()) {
        findings.push(Finding::new(&place, "may not use Burn: its tests are to finish in seconds"));
    }
    findings
}

/// Whether the table that opens ARCHITECTURE.md has the crates in their order, each with what it uses.
fn told(document: &str, crates: &[Crate]) -> Vec<Finding> {
    let place = "ARCHITECTURE.md";
    let rows = rows(document);
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    let members: Vec<&str> = crates.iter().map(|own| own.name.as_str()).collect();
    if names != members {
        let what = format!("its first table has the crates {}, the workspace {}", names.join(", "), members.join(", "));
        return vec![Finding::new(place, what)];
    }
    let used: BTreeMap<_, _> = crates.iter().map(|own| (own.name.as_str(), &own.uses)).collect();
    let wrong = rows.iter().filter(|(name, uses)| used[name.as_str()] != uses);
    wrong
        .map(|(name, _)| {
            let uses = used[name.as_str()].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Finding::new(place, format!("in the row of {name} the column `uses` should hold: {uses}"))
        })
        .collect()
}

/// The crate and the used crates of each row of the first table with a column `crate`.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let lines = document.lines().skip_while(|line| !cells(line).contains(&"crate".to_owned()));
    let table: Vec<Vec<String>> = lines.take_while(|line| line.starts_with('|')).map(cells).collect();
    let Some((head, rows)) = table.split_first() else { return Vec::new() };
    let column = |title: &str| head.iter().position(|cell| cell == title);
    let in_ticks = |cell: &String| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let cell = |row: &[String], title: &str| column(title).and_then(|at| row.get(at)).map(in_ticks).unwrap_or_default();
    rows.iter().filter_map(|row| Some((cell(row, "crate").first()?.clone(), cell(row, "uses")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, uses: &[&str]) -> Crate {
        Crate { name: name.to_owned(), uses: uses.iter().map(ToString::to_string).collect(), ..Crate::default() }
    }

    fn found(crates: &[Crate]) -> Vec<String> {
        crates.iter().flat_map(|own| directions(own, crates)).map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn manifests_are_read_with_all_their_sections() {
        let text = "[package]\nname = 'lorabake-data'\n[dependencies]\nlorabake-recipe = {}\nburn-flex = '1'\n\
                    [target.'cfg(unix)'.dependencies]\nlorabake-ops = {}\n[dev-dependencies]\nlorabake-testkit = {}\n";
        let named = |name: &str| format!("[package]\nname = 'lorabake-{name}'\n").parse::<Table>().unwrap();
        let manifests = [
            ("crates/recipe", named("recipe")),
            ("crates/ops", named("ops")),
            ("crates/data", text.parse().unwrap()),
            ("crates/testkit", named("testkit")),
        ];
        let data = &crates(&manifests)[2];
        assert_eq!(*data, Crate { tests_use: vec!["testkit".into()], engine: true, ..own("data", &["recipe", "ops"]) });
    }

    #[test]
    fn arrows_point_one_way() {
        assert_eq!(found(&[own("recipe", &[]), own("data", &["recipe"]), own("train", &["recipe", "data"])]), [""; 0]);
        let backwards = [own("recipe", &["data"]), own("data", &[])];
        assert_eq!(found(&backwards), ["recipe (Cargo.toml): may not use data; see the arrows in ARCHITECTURE.md"]);
        let early = [own("data", &["recipe"]), own("recipe", &[])];
        assert!(found(&early)[0].contains("stands before recipe, which it uses"), "{:?}", found(&early));
        assert!(found(&[own("studio", &[])])[0].contains("does not know"));
    }

    #[test]
    fn tests_may_use_the_testkit_but_not_the_crates_above() {
        let with = |name: &str| Crate { tests_use: vec![name.into()], ..own("model", &[]) };
        assert_eq!(found(&[with("testkit")]), [""; 0]);
        assert_eq!(found(&[with("train")]), ["model (Cargo.toml): its tests may not use train"]);
    }

    #[test]
    fn light_crates_have_no_engine() {
        let with = |name: &str| vec![Crate { engine: true, ..own(name, &[]) }];
        assert_eq!(found(&with("model")), [""; 0]);
        assert_eq!(
            found(&with("recipe")),
            ["recipe (Cargo.toml): may not use Burn: its tests are to finish in seconds"]
        );
    }

    #[test]
    fn the_architecture_table_agrees_with_the_workspace() {
        let document = "# Architecture\n\n| # | crate | in → out | uses |\n|---|---|---|---|\n\
                        | 1 | `recipe` | flags → `Recipe` | – |\n| 2 | `data` | folders → `Batch` | `recipe` |\n\ntext\n";
        let crates = [own("recipe", &[]), own("data", &["recipe"])];
        assert_eq!(told(document, &crates), []);
        let more = [own("recipe", &[]), own("data", &["recipe"]), own("train", &[])];
        let what = "its first table has the crates recipe, data, the workspace recipe, data, train";
        assert_eq!(told(document, &more), [Finding::new("ARCHITECTURE.md", what)]);
        let other = [own("recipe", &[]), own("data", &[])];
        let what = "in the row of data the column `uses` should hold: ";
        assert_eq!(told(document, &other), [Finding::new("ARCHITECTURE.md", what)]);
    }
}
