//! `cargo xtask judge-check`: bakes that are spoilt on purpose and good ones, each judged by `lorabake judge`, which is not
//! told which is which; the confusion matrix of truth and verdict.
//!
//! Bakes are kept in the folder, so that another run judges them again without baking. Seeds below 10 are those that the
//! rules were tuned on; the proof is by seeds from 10 on. Without `--pictures` by `--budget quick`, which takes a fifth of
//! the time.

mod demonstration;
mod kitchen;
mod matrix;
mod parts;
mod sets;
mod spoil;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_judge::Report;

use demonstration::Demonstration;
use kitchen::{Kitchen, Look, has_loras};
use matrix::Matrix;
use spoil::Bake;

/// A judged bake.
struct Outcome {
    bake: Bake,
    report: Report,
    /// Of each snapshot, how much of the demonstration its pictures show, if that was asked for.
    shown: Option<Vec<f64>>,
}

/// Bakes, judges and tells.
///
/// # Errors
/// When a bake or a verdict fails.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let options = Options::of(args)?;
    let folder = options.folder.clone().unwrap_or_else(|| root.join("target/judge-check"));
    let program = std::env::current_exe()?.with_file_name(format!("lorabake{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        bail!("{}: build it first: cargo build --release --workspace --bin lorabake", program.display());
    }
    sets::prepare(&root.join("examples"), &folder)?;
    let kitchen = Kitchen { program, folder };
    let mut bakes = Vec::new();
    for bake in spoil::bakes(options.tuning) {
        let is_wanted = options.only.as_ref().is_none_or(|part| bake.name().contains(part.as_str()));
        if is_wanted && (options.bakes() || has_loras(&kitchen.place(&bake))) {
            bakes.push(bake);
        }
    }
    let mut outcomes = Vec::new();
    for (index, bake) in bakes.iter().enumerate() {
        kitchen.train(bake)?;
        let json = kitchen.place(bake).join(if options.pictures { "pictures.json" } else { "judge.json" });
        if options.rules_only && !json.is_file() {
            continue;
        }
        let budget: &[&str] = if options.pictures { &[] } else { &["--budget", "quick"] };
        let report =
            kitchen.judge(&Look { run: &kitchen.place(bake), data: &bake.data(), json: &json, more: budget })?;
        let shown = match options.shown && bake.kind.has_a_best() {
            true => Some(demonstrate(&kitchen, bake, &report)?),
            false => None,
        };
        let outcome = Outcome { bake: *bake, report, shown };
        println!("{:>3}/{} {}", index + 1, bakes.len(), matrix::line(&outcome));
        outcomes.push(outcome);
    }
    let matrix = Matrix::of(&outcomes);
    println!("\n{}", matrix.text());
    for part in &options.parts {
        println!("\n{part}");
        println!("{}", part_of(part, &kitchen, &outcomes, &options)?);
    }
    Ok(matrix.holds())
}

/// Another part of the proof.
fn part_of(part: &str, kitchen: &Kitchen, outcomes: &[Outcome], options: &Options) -> Result<String> {
    let bakes: Vec<Bake> = outcomes.iter().map(|outcome| outcome.bake).collect();
    match part {
        "scale" => parts::scale_law(kitchen, outcomes),
        "controls" => parts::controls(kitchen, &bakes),
        "noise" => parts::other_noise(kitchen, outcomes),
        "advice" => parts::advice_followed(kitchen, outcomes, options),
        "ablation" => Ok(parts::ablation(outcomes)),
        other => bail!("--part {other}: there is none; take scale, controls, noise, advice or ablation"),
    }
}

/// What is typed behind the chore's name.
#[derive(Default)]
struct Options {
    folder: Option<PathBuf>,
    /// The seeds that rules are tuned on, rather than those of the proof.
    tuning: bool,
    /// Only bakes that are there already.
    made_only: bool,
    /// Only bakes that were measured already, by the rules as they are now.
    rules_only: bool,
    /// Judge with pictures.
    pictures: bool,
    /// Paint with every snapshot, to see whether the one that was kept is the best.
    shown: bool,
    /// Only bakes in whose names this is.
    only: Option<String>,
    /// What is proved beside.
    parts: Vec<String>,
}

impl Options {
    fn of(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "--tuning" => options.tuning = true,
                "--made_only" => options.made_only = true,
                "--rules_only" => options.rules_only = true,
                "--pictures" => options.pictures = true,
                "--shown" => options.shown = true,
                "--only" => options.only = Some(rest.next().context("--only: give a part of a bake's name")?.clone()),
                "--part" => options.parts.push(rest.next().context("--part: give its name")?.clone()),
                folder if !folder.starts_with('-') => options.folder = Some(PathBuf::from(folder)),
                other => bail!("{other}: there is no such option; see cargo xtask"),
            }
        }
        Ok(options)
    }

    /// Whether what is not there yet is baked.
    fn bakes(&self) -> bool {
        !self.made_only && !self.rules_only
    }
}

/// How much of the demonstration the pictures of each snapshot show.
fn demonstrate(kitchen: &Kitchen, bake: &Bake, report: &Report) -> Result<Vec<f64>> {
    let kept = kitchen.place(bake).join("shown.json");
    if let Ok(text) = std::fs::read(&kept) {
        return Ok(serde_json::from_slice(&text)?);
    }
    let demonstration = Demonstration::of(bake.set, &kitchen.folder)?;
    let mut shown = Vec::new();
    for snapshot in &report.measures.snapshots {
        shown.push(demonstration.measure(&kitchen.program, &kitchen.folder.join(&snapshot.path))?);
    }
    std::fs::write(kept, serde_json::to_vec(&shown)?)?;
    Ok(shown)
}

/// What a kind's bakes are in truth.
fn truth(kind: spoil::Kind) -> &'static str {
    kind.truth().name()
}
