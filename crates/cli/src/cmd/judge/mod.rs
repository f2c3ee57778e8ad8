//! `lorabake judge`: which snapshot of a run is the best, what is wrong with it, and what the next bake should change.

mod against;
mod apply;
mod card;
mod finished;
mod measuring;
mod page;
mod recipe;
mod table;
pub mod words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_judge::Report;
use lorabake_judge::features::ImageEncoder;
use lorabake_judge::runs::Run;
use lorabake_judge::setting::{Budget, Plan};
use lorabake_judge::shelf::{Shelf, content, stamp};
use lorabake_judge::verdict::Verdict;
use lorabake_recipe::Recipe;
use lorabake_weights::whole_file;

use crate::report_place;
use crate::terminal::{self, Shown};
use against::Other;
use finished::Finished;
use measuring::{Judged, measure};

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// What is judged: the folder of a run, a LoRA of it, or several LoRAs' path without number and suffix.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    recipe: recipe::RecipeArgs,
    /// How much is done: quick (losses only, no pictures), normal, or full (more pictures; from 512 pixels on losses at the
    /// whole size, not at half of it).
    #[arg(long, value_name = "quick|normal|full", default_value = "normal", value_parser = ["quick", "normal", "full"])]
    budget: String,
    /// Other checkpoints that the snapshot to keep is tried on: whether it works there, at which strength, and a line for
    /// the model card. Paths, or names in the folder of the checkpoint that it was trained on.
    #[arg(long, value_name = "FILE|FOLDER", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Image encoder that pictures are compared by in the place of the checkpoint's own UNet: an ONNX file of CLIP, DINO,
    /// DINOv2, SSCD or the like. What it wants of pictures is read from NAME.toml or preprocessor_config.json beside it.
    #[arg(long, value_name = "FILE.onnx")]
    features: Option<PathBuf>,
    /// Measures everything anew. What was measured is kept in the folder RUN.judge beside the LoRAs: a judgement that was
    /// interrupted goes on, and the same command again is done at once.
    #[arg(long)]
    again: bool,
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
    // Before anything is read, since reading begins with all cores.
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("--threads cannot be set")?;
    }
    let run = Run::find(&args.run)?;
    let page = args.html.clone().unwrap_or_else(|| run.folder.join(format!("{}.judge.html", run.name)));
    check_places(args, &page)?;
    let recipe = args.recipe.recipe(&run)?;
    let others = against::find(&args.against, &recipe.model.checkpoint)?;
    let encoder = args.features.as_deref().map(encoder).transpose()?;
    let shelf = shelf(args, &run, &recipe, encoder.as_ref())?;
    let plan = Plan {
        recipe: &recipe,
        budget: match args.budget.as_str() {
            "quick" => Budget::Quick,
            "full" => Budget::Full,
            _ => Budget::Normal,
        },
        seed: args.judge_seed,
        encoder: encoder.as_ref(),
        shelf: &shelf,
        checkpoint: &recipe.model.checkpoint,
        has_texts: false,
    };
    let Finished { report, page: text } = judged(plan, &run, &others)?;
    tell(&report);
    if !args.no_html {
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

/// The judgement, from the shelf if it was done before.
fn judged(plan: Plan<'_>, run: &Run, others: &[Other]) -> Result<Finished> {
    let key = finished::key(run, plan.recipe, others)?;
    if let Some(finished) = Finished::read(plan.shelf, &key) {
        terminal::say("note: nothing has changed since it was judged; this was found then (--again measures anew)");
        return Ok(finished);
    }
    let Judged { report, sheet, places } = measure(plan, run, others)?;
    let page = page::page(&report, &sheet, &places);
    let finished = Finished { report, page };
    finished.keep(plan.shelf, &key);
    Ok(finished)
}

/// Where that is kept which was measured, by this very program.
fn shelf(args: &Args, run: &Run, recipe: &Recipe, encoder: Option<&ImageEncoder>) -> Result<Shelf> {
    let features = match (&args.features, encoder) {
        (Some(path), Some(encoder)) => format!("{} {:?}", content(path)?, encoder.contract()),
        _ => String::new(),
    };
    let program = std::env::current_exe().map(|path| stamp(&path)).unwrap_or_default();
    let more = format!("{program} {} {} {features}", args.budget, args.judge_seed);
    Shelf::open(run.folder.join(format!("{}.judge", run.name)), recipe, &more, args.again)
}

/// What stands at the beginning of our reports, pages and JSON.
const OURS: [&str; 2] = ["lorabake judge", "\"is_embedded\""];

/// Refuses places that are no reports' before anything is measured.
fn check_places(args: &Args, page: &Path) -> Result<()> {
    if !args.no_html {
        report_place::check("--html", page, &report_place::PAGE, &OURS)?;
    }
    if let Some(path) = &args.json {
        report_place::check("--json", path, &["json"], &OURS)?;
    }
    if let Some(path) = &args.apply {
        apply::check(path)?;
    }
    Ok(())
}

/// The image encoder that pictures are compared by.
fn encoder(path: &Path) -> Result<ImageEncoder> {
    ImageEncoder::open(path).context("--features")
}

/// The table, the verdict, and what to change.
fn tell(report: &Report) {
    let Report { measures, pictures, judgement, advice, elsewhere, .. } = report;
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
    if let Some(elsewhere) = elsewhere {
        terminal::result("");
        terminal::result(&table::aligned(&card::rows(elsewhere)));
        terminal::result("");
        terminal::result(&format!("For the model card: {}", card::line(elsewhere)));
    }
}
