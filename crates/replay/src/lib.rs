//! Replays recorded behaviour of the AUTOMATIC1111 web UI, case by case, through the very code that paints.
//!
//! A pack is a folder of JSON and safetensors files in the form of `conformance-gen`; the repository carries a part of one.
//! Each folder of a pack has a file here with a function from [`Pack`] to [`Case`]s. For tests and chores only.

mod adetailer;
mod control;
mod detailer_areas;
mod files;
mod hires;
mod infotext;
mod inpaint;
mod lbw;
mod made_file;
mod nets;
mod number;
mod pack;
mod pictures;
mod prompts;
mod rng;
mod samplers;
mod sigmas;
mod tiles;
mod upscale;
mod verdict;
mod xyz;

use std::path::Path;

use anyhow::Result;

pub use pack::{Pack, Tensors};
pub use verdict::{Case, Outcome, close, same};

/// A folder of a pack, and what replays its cases, or some of them.
struct Folder {
    name: &'static str,
    cases: fn(&Pack) -> Result<Vec<Case>>,
}

/// In the order of a picture's way.
const FOLDERS: &[Folder] = &[
    Folder { name: "prompts", cases: prompts::cases },
    Folder { name: "lbw", cases: lbw::cases },
    Folder { name: "nets", cases: nets::cases },
    Folder { name: "rng", cases: rng::cases },
    Folder { name: "sigmas", cases: sigmas::cases },
    Folder { name: "img2img_steps.json", cases: sigmas::img2img_cases },
    Folder { name: "samplers", cases: samplers::cases },
    Folder { name: "pictures", cases: pictures::cases },
    Folder { name: "inpaint", cases: inpaint::cases },
    Folder { name: "hires", cases: hires::cases },
    Folder { name: "upscale", cases: upscale::cases },
    Folder { name: "upscale", cases: tiles::cases },
    Folder { name: "controlnet", cases: control::cases },
    Folder { name: "adetailer", cases: adetailer::cases },
    Folder { name: "adetailer", cases: detailer_areas::cases },
    Folder { name: "infotext", cases: infotext::cases },
    Folder { name: "files", cases: files::cases },
    Folder { name: "xyz", cases: xyz::cases },
];

/// All that a pack may hold.
const KNOWN: [&str; 16] = [
    "prompts",
    "lbw",
    "nets",
    "rng",
    "sigmas",
    "img2img_steps.json",
    "samplers",
    "pictures",
    "inpaint",
    "hires",
    "upscale",
    "controlnet",
    "adetailer",
    "infotext",
    "files",
    "xyz",
];

/// The cases of one folder of a pack.
#[derive(Debug)]
pub struct Report {
    /// The folder.
    pub folder: &'static str,
    /// What became of its cases.
    pub cases: Vec<Case>,
}

/// Replays all of the pack at `dir`; `models` has the tiny checkpoints.
///
/// # Errors
/// When the pack cannot be read.
pub fn replay(dir: &Path, models: &Path) -> Result<Vec<Report>> {
    let pack = Pack::new(dir, models);
    let mut reports: Vec<Report> = Vec::new();
    for folder in FOLDERS {
        if !pack.has(folder.name) {
            continue;
        }
        let cases = (folder.cases)(&pack)?;
        match reports.last_mut() {
            Some(report) if report.folder == folder.name => report.cases.extend(cases),
            _ => reports.push(Report { folder: folder.name, cases }),
        }
    }
    for name in KNOWN {
        if pack.has(name) && !FOLDERS.iter().any(|folder| folder.name == name) {
            let cases = vec![Case::unsupported("all", "nothing replays this folder yet")];
            reports.push(Report { folder: name, cases });
        }
    }
    Ok(reports)
}
