//! Replays what other programs' tools for weights wrote, case by case, through the crate that does surgery here.

mod check;
mod lycoris;
mod pack;
mod sd_scripts;
mod spectral;
mod supermerger;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_replay::{Case, Report};

use crate::conformance_gen;
use pack::Pack;

/// A folder of a pack, and what replays its cases.
struct Folder {
    name: &'static str,
    case: fn(&Pack, &str, &serde_json::Value) -> Result<Verdict>,
}

/// What came of a case that was replayed.
pub enum Verdict {
    /// Ours is as recorded.
    Same,
    /// It is not.
    Differs(String),
}

const FOLDERS: [Folder; 4] = [
    Folder { name: "sd_scripts", case: sd_scripts::case },
    Folder { name: "lycoris", case: lycoris::case },
    Folder { name: "supermerger", case: supermerger::case },
    Folder { name: "spectral", case: spectral::case },
];

/// All that a pack may hold.
const KNOWN: [&str; 5] = ["sd_scripts", "lycoris", "supermerger", "diffusers", "spectral"];

/// Replays the pack in `args`; `false` unless every case came out as recorded. `--models DIR` has the tiny checkpoints;
/// without it they are looked for in `../conformance/models` beside the pack. `--only NAME` replays cases whose name has it.
///
/// # Errors
/// If `args` are not understood, or the pack cannot be read.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let mut dir: Option<PathBuf> = None;
    let mut models: Option<PathBuf> = None;
    let mut only = String::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || match words.next() {
            Some(value) => Ok(value.clone()),
            None => bail!("{word} needs a value"),
        };
        match word.as_str() {
            "--models" => models = Some(value()?.into()),
            "--only" => only = value()?,
            option if option.starts_with("--") => bail!("{option} is not known; --models DIR and --only NAME are"),
            folder => dir = Some(folder.into()),
        }
    }
    let Some(dir) = dir else { bail!("give the folder with the recorded cases") };
    let beside = dir.join("../conformance/models");
    let own = root.join("models/tiny");
    let pack = Pack::open(&dir, &models.unwrap_or(if beside.is_dir() { beside } else { own }))?;
    let mut reports = Vec::new();
    for name in KNOWN {
        let Some(cases) = pack.cases(name)? else { continue };
        let mut report = Report { folder: name, cases: Vec::new() };
        for (case, value) in cases {
            if !case.contains(&only) || case.starts_with('_') {
                continue;
            }
            report.cases.push(replayed(&pack, name, &case, &value));
        }
        reports.push(report);
    }
    if reports.is_empty() {
        bail!("{} is no folder with recorded cases", dir.display());
    }
    Ok(conformance_gen::print(&reports))
}

fn replayed(pack: &Pack, folder: &str, name: &str, value: &serde_json::Value) -> Case {
    let Some(folder) = FOLDERS.iter().find(|own| own.name == folder) else {
        return Case::unsupported(name, "nothing replays this folder yet");
    };
    match (folder.case)(pack, name, value) {
        Ok(Verdict::Same) => Case::of(name, Ok(())),
        Ok(Verdict::Differs(why)) => Case::of(name, Err(why)),
        Err(error) => Case::of(name, Err(format!("{error:#}"))),
    }
}
