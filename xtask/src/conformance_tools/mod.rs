//! Replays what other programs' tools for weights wrote, case by case, through the crate that does surgery here.

mod check;
mod diffusers;
mod lycoris;
mod pack;
mod predictions;
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

const FOLDERS: [Folder; 6] = [
    Folder { name: pack::PLAIN, case: sd_scripts::case },
    Folder { name: "sd_scripts", case: sd_scripts::case },
    Folder { name: "lycoris", case: lycoris::case },
    Folder { name: "supermerger", case: supermerger::case },
    Folder { name: "diffusers", case: diffusers::case },
    Folder { name: "spectral", case: spectral::case },
];

/// Replays the pack in `args`, or the folder `tools` of one of sd-scripts' runs; `false` unless every case came out as
/// recorded. `--models DIR` has the tiny checkpoints; without it they are looked for beside the pack. `--only NAME` replays
/// cases whose name has it.
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
    let mut beside = root.join("models/tiny");
    for place in ["../../models", "../conformance/models"] {
        if dir.join(place).is_dir() {
            beside = dir.join(place);
        }
    }
    let pack = Pack::open(&dir, &models.unwrap_or(beside))?;
    let mut reports = Vec::new();
    for folder in &FOLDERS {
        let Some(cases) = pack.cases(folder.name)? else { continue };
        let mut report = Report { folder: folder.name, cases: Vec::new() };
        for (case, value) in cases {
            if !case.contains(&only) || case.starts_with('_') {
                continue;
            }
            report.cases.push(replayed(&pack, folder, &case, &value));
        }
        reports.push(report);
    }
    if reports.is_empty() {
        bail!("{} is no folder with recorded cases", dir.display());
    }
    Ok(conformance_gen::print(&reports))
}

fn replayed(pack: &Pack, folder: &Folder, name: &str, value: &serde_json::Value) -> Case {
    match (folder.case)(pack, name, value) {
        Ok(Verdict::Same) => Case::of(name, Ok(())),
        Ok(Verdict::Differs(why)) => Case::of(name, Err(why)),
        Err(error) => Case::of(name, Err(format!("{error:#}"))),
    }
}
