//! `lorabake judge`: which snapshot of a run is the best, what is wrong with it, and what the next bake should change.

mod apply;
mod measuring;
mod page;
mod recipe;
mod table;
pub mod words;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lorabake_judge::Report;
use lorabake_judge::advice::advise;
use lorabake_judge::rules::judge;
use lorabake_judge::runs::Run;
use lorabake_judge::verdict::Verdict;
use lorabake_weights::whole_file;

use crate::terminal::{self, Shown};
use measuring::{Measured, measure};

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// What is judged: the folder of a run, a LoRA of it, or several LoRAs' path without number and suffix.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    recipe: recipe::RecipeArgs,
    /// How much is done: quick (losses only, no pictures), normal or full.
    #[arg(long, value_name = "quick|normal|full", default_value = "normal", value_parser = ["quick", "normal", "full"])]
    budget: String,
    /// Seed of the noise that is measured with.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    judge_seed: u64,
    /// Writes the next recipe: that of the run with what the advice changes, each change marked.
    #[arg(long, value_name = "FILE")]
    apply: Option<PathBuf>,
    /// Exit code 1 unless the run is fine, for scripts.
    #[arg(long)]
    gate: bool,
    /// The page that is written, which needs no network; one that is there is replaced. [default: RUN.judge.html beside
    /// the LoRAs]
    #[arg(long, value_name = "FILE", conflicts_with = "no_html")]
    html: Option<PathBuf>,
    /// Writes no page.
    #[arg(long)]
    no_html: bool,
    /// Writes all numbers and the verdict as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Judges the run that `args` name.
///
/// # Errors
/// Whatever is wrong with options, snapshots, images or the checkpoint.
pub fn run(args: &Args) -> Result<ExitCode> {
    let run = Run::find(&args.run)?;
    let page = args.html.clone().unwrap_or_else(|| run.folder.join(format!("{}.judge.html", run.name)));
    if !args.no_html {
        check_place("--html", &page, &["html", "htm"])?;
    }
    if let Some(path) = &args.json {
        check_place("--json", path, &["json"])?;
    }
    if let Some(path) = &args.apply {
        apply::check(path)?;
    }
    let recipe = args.recipe.recipe(&run)?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("--threads cannot be set")?;
    }
    let Measured { measures, pictures, sheet, facts } = measure(args, &run, &recipe)?;
    let judgement = judge(&measures, &pictures, &facts);
    let advice = advise(&measures, &judgement, &facts);
    let report = Report { run: run.name.clone(), facts, measures, pictures, judgement, advice };
    tell(&report);
    if !args.no_html {
        let text = page::page(&report, &sheet);
        whole_file::write(&page, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("--html {}", page.display()))?;
        terminal::result(&Shown(page.display()).to_string());
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        whole_file::write(path, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("--json {}", path.display()))?;
        terminal::result(&Shown(path.display()).to_string());
    }
    if let Some(path) = &args.apply {
        let changes = apply::apply(path, &recipe, &report.advice)?;
        if changes.is_empty() {
            terminal::say(&format!("{}: nothing is changed but the name of the result", path.display()));
        }
        for change in &changes {
            terminal::say(&format!("{}: {}", path.display(), words::change(change)));
        }
        terminal::result(&Shown(path.display()).to_string());
    }
    let is_fine = report.judgement.verdict == Verdict::Fine;
    Ok(if args.gate && !is_fine { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Refuses a place that is no report's before anything is measured.
fn check_place(option: &str, path: &Path, suffixes: &[&str]) -> Result<()> {
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !suffixes.contains(&suffix.as_str()) {
        bail!("{option} {}: name a .{} file", path.display(), suffixes[0]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{option} {}: there is no folder {}; make it or correct the name", path.display(), folder.display());
    }
    // A report of ours may be replaced.
    let mut start = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        file.take(OURS_WITHIN).read_to_end(&mut start)?;
        let text = String::from_utf8_lossy(&start);
        if !text.contains("lorabake judge") && !text.contains("\"is_embedded\"") {
            bail!("{option} {}: it is there already and no report; name another file", path.display());
        }
    }
    Ok(())
}

/// Bytes at the beginning of a report that tell it.
const OURS_WITHIN: u64 = 1000;

/// The table, the verdict, and what to change.
fn tell(report: &Report) {
    let Report { measures, pictures, judgement, advice, .. } = report;
    terminal::result(&table::text(measures, pictures, judgement));
    terminal::result("");
    words::summary(measures, judgement).iter().for_each(|line| terminal::result(line));
    if let Some(keep) = judgement.keep {
        for finding in &judgement.snapshots[keep].findings {
            terminal::result(&format!("  - {}", words::finding(finding, measures)));
        }
    }
    if pictures.is_empty() {
        terminal::result("  - no picture was painted; losses alone mislead on small sets (--budget normal)");
    }
    if !advice.is_empty() {
        terminal::result("Next time:");
        advice.iter().for_each(|piece| terminal::result(&format!("  - {}", words::advice(piece, measures))));
    }
}
