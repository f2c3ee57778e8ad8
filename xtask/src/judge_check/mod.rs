//! `cargo xtask judge-check`: bakes that are spoilt on purpose and good ones, each judged by `lorabake judge`, which is not
//! told which is which; the confusion matrix of truth and verdict.
//!
//! Bakes are kept in the folder, so that another run judges them again without baking. Seeds 1 and 2 are those that the
//! rules were tuned on; the proof is by seeds from 3 on. Without pictures (`--budget quick`), which take five times as long.

mod demonstration;
mod matrix;
mod sets;
mod spoil;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lorabake_judge::advice::advise;
use lorabake_judge::{Report, rules};

use demonstration::Demonstration;
use matrix::Matrix;
use spoil::{Bake, Kind};

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
    let bakes: Vec<Bake> = spoil::bakes().into_iter().filter(|bake| options.wants(bake)).collect();
    let mut outcomes = Vec::new();
    for (index, bake) in bakes.iter().enumerate() {
        let place = folder.join("runs").join(bake.name());
        let json = place.join("judge.json");
        if !has_loras(&place) {
            if options.made_only || options.rules_only {
                continue;
            }
            train(&program, &folder, bake, &place)?;
        }
        if !json.is_file() || !(options.rules_only || options.made_only) {
            if options.rules_only {
                continue;
            }
            measure(&program, &folder, bake, &json)?;
        }
        let report = judged_anew(&json)?;
        let shown = match options.pictures && bake.kind.has_a_best() {
            true => Some(demonstrate(&program, &folder, bake, &report)?),
            false => None,
        };
        let outcome = Outcome { bake: *bake, report, shown };
        println!("{:>3}/{} {}", index + 1, bakes.len(), matrix::line(&outcome));
        outcomes.push(outcome);
    }
    let matrix = Matrix::of(&outcomes);
    println!("\n{}", matrix.text());
    Ok(matrix.holds())
}

/// What is typed behind the chore's name.
#[derive(Default)]
struct Options {
    folder: Option<PathBuf>,
    /// The seeds that rules are tuned on, rather than those of the proof.
    tuning: bool,
    /// Only bakes that are there already; what was measured of them is not measured again.
    made_only: bool,
    /// Only bakes that were measured already, by the rules as they are now.
    rules_only: bool,
    /// Paint with every snapshot, to see whether the one that was kept is the best.
    pictures: bool,
    only: Option<String>,
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
                "--only" => options.only = Some(rest.next().context("--only: give a part of a bake's name")?.clone()),
                folder if !folder.starts_with('-') => options.folder = Some(PathBuf::from(folder)),
                other => bail!("{other}: there is no such option; see cargo xtask"),
            }
        }
        Ok(options)
    }

    fn wants(&self, bake: &Bake) -> bool {
        let is_named = self.only.as_ref().is_none_or(|part| bake.name().contains(part.as_str()));
        is_named && self.tuning == (bake.seed <= 2)
    }
}

fn train(program: &Path, folder: &Path, bake: &Bake, place: &Path) -> Result<()> {
    std::fs::create_dir_all(place)?;
    let log = std::fs::File::create(place.join("log"))?;
    let mut command = Command::new(program);
    command.current_dir(folder).arg("train").args(["--config_file", "base.toml"]);
    command.args(bake.options()).arg("--output_dir").arg(place).args(["--output_name", "x"]);
    let status = command.stdout(Stdio::null()).stderr(log).status()?;
    // A bake that ends because its loss is no number any more is a spoilt one; what it saved before is judged.
    if !status.success() && !bake.kind.may_end_early() {
        bail!("{}: the bake failed, see its log", bake.name());
    }
    Ok(())
}

fn has_loras(place: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(place) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|suffix| suffix == "safetensors"))
}

fn measure(program: &Path, folder: &Path, bake: &Bake, json: &Path) -> Result<()> {
    let place = json.parent().unwrap_or(folder);
    let mut command = Command::new(program);
    command.current_dir(folder).arg("judge").arg(place).args(["--train_data_dir", &bake.data()]);
    command.arg("--json").arg(json).args(["--no_html", "--budget", "quick"]);
    let output = command.output()?;
    if !output.status.success() {
        bail!("{}: {}", bake.name(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A report whose verdict is that of the rules as they are now.
fn judged_anew(json: &Path) -> Result<Report> {
    let text = std::fs::read(json).with_context(|| json.display().to_string())?;
    let mut report: Report = serde_json::from_slice(&text).with_context(|| json.display().to_string())?;
    report.facts.is_embedded = true;
    report.judgement = rules::judge(&report.measures, &report.pictures, &report.facts);
    report.advice = advise(&report.measures, &report.judgement, &report.facts);
    Ok(report)
}

/// How much of the demonstration the pictures of each snapshot show.
fn demonstrate(program: &Path, folder: &Path, bake: &Bake, report: &Report) -> Result<Vec<f64>> {
    let demonstration = Demonstration::of(bake.set, folder)?;
    let mut shown = Vec::new();
    for snapshot in &report.measures.snapshots {
        shown.push(demonstration.measure(program, &snapshot.path)?);
    }
    Ok(shown)
}

/// What a kind's bakes are in truth.
fn truth(kind: Kind) -> &'static str {
    kind.truth().name()
}
