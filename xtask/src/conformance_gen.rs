//! Replays recorded pictures, prompts, samplers and the rest of the web UI, and tells what came out, folder by folder.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_replay::{Outcome, Report, replay};

/// Complaints that are shown of each folder.
const SHOWN: usize = 8;

/// Replays the pack in `args`, or the repository's own; `false` unless every case came out as recorded. `--models DIR` has
/// the tiny checkpoints; without it they are looked for in `../conformance/models` beside the pack.
///
/// # Errors
/// If `args` are not understood, or the pack cannot be read.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let mut dir: Option<PathBuf> = None;
    let mut models: Option<PathBuf> = None;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--models" => match words.next() {
                Some(folder) => models = Some(folder.into()),
                None => bail!("--models needs the folder of the tiny checkpoints"),
            },
            option if option.starts_with("--") => bail!("{option} is not known; --models DIR is"),
            folder => dir = Some(folder.into()),
        }
    }
    let dir = dir.unwrap_or_else(|| root.join("conformance-gen"));
    let beside = dir.join("../conformance/models");
    let own = root.join("models/tiny");
    let models = models.unwrap_or(if beside.is_dir() { beside } else { own });
    if !dir.is_dir() {
        bail!("{} is no folder with recorded cases", dir.display());
    }
    Ok(print(&replay(&dir, &models)?))
}

/// Prints the table; whether all passed.
pub fn print(reports: &[Report]) -> bool {
    println!("{:<12} {:>6} {:>7} {:>7} {:>14}", "folder", "cases", "passed", "failed", "not supported");
    let mut sums = [0; 4];
    for report in reports {
        let counts = count(report);
        println!("{:<12} {:>6} {:>7} {:>7} {:>14}", report.folder, counts[0], counts[1], counts[2], counts[3]);
        complain(report);
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    println!("{:<12} {:>6} {:>7} {:>7} {:>14}", "all", sums[0], sums[1], sums[2], sums[3]);
    sums[1] > 0 && sums[1] == sums[0]
}

/// Cases, passed, failed, not supported yet.
fn count(report: &Report) -> [usize; 4] {
    let mut counts = [report.cases.len(), 0, 0, 0];
    for case in &report.cases {
        match case.outcome {
            Outcome::Passed => counts[1] += 1,
            Outcome::Failed(_) => counts[2] += 1,
            Outcome::Unsupported(_) => counts[3] += 1,
        }
    }
    counts
}

/// Prints why the first cases that did not pass did not.
fn complain(report: &Report) {
    let mut left = 0;
    let mut shown = 0;
    for case in &report.cases {
        let why = match &case.outcome {
            Outcome::Passed => continue,
            Outcome::Failed(why) => why.clone(),
            Outcome::Unsupported(why) => format!("not supported yet: {why}"),
        };
        if shown == SHOWN {
            left += 1;
            continue;
        }
        shown += 1;
        println!("    {}: {}", case.name, why.chars().take(300).collect::<String>());
    }
    if left > 0 {
        println!("    and {left} more");
    }
}
