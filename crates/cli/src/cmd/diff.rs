//! `lorabake diff`: what differs between two models or LoRAs, block by block.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lorabake_surgery::Error;
use lorabake_surgery::compare::{BlockDifference, Compared, compare_models, compare_nets};
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;
use serde_json::json;

use crate::stop;
use crate::surgery_args::{interrupted, no_net};
use crate::terminal::{self, Shown};

/// Width of the longest bar.
const BAR: f64 = 24.0;
/// Names that are shown of what only one has.
const NAMES: usize = 5;

/// What follows `lorabake diff`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The first model or LoRA.
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The second.
    #[arg(value_name = "B")]
    second: PathBuf,
    /// The model that LoRAs were made for; kinds that change weights in proportion need it (DoRA, IA3, OFT, GLoRA).
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

/// Compares what `args` name.
///
/// # Errors
/// Whatever is wrong with the files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let of_models = [is_model(&args.first)?, is_model(&args.second)?];
    if of_models[0] != of_models[1] {
        bail!("diff: one is a model and one a LoRA; give two of a kind");
    }
    if of_models[0] && args.base.is_some() {
        bail!("--base: it is for LoRAs, and these are models; leave it out");
    }
    if let Some(base) = &args.base {
        no_net("--base", base, "give the model that the LoRAs were made for")?;
    }
    let wished = stop::wished()?;
    let watch = |_: u64, _: u64| !wished.load(Ordering::Relaxed);
    let compared = match of_models[0] {
        true => compare_models(&args.first, &args.second, &watch),
        false => compare_nets(&args.first, &args.second, args.base.as_deref(), &watch),
    };
    let compared = match compared {
        Err(Error::Stopped) => return Ok(interrupted()),
        other => other?,
    };
    if args.json {
        terminal::quoted_data(&serde_json::to_string_pretty(&as_json(&compared))?);
    } else {
        terminal::result(&text(&compared, of_models[0]));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_model(path: &Path) -> Result<bool> {
    Ok(path.is_dir() || file_kind::kind(&TensorFile::open(path)?.into()) == FileKind::Checkpoint)
}

fn as_json(compared: &Compared) -> serde_json::Value {
    let mut blocks = Vec::new();
    for block in &compared.blocks {
        blocks.push(json!({
            "block": block.name,
            "both": block.both,
            "differing": block.differing,
            "norm_a": block.sums[0].sqrt(),
            "norm_b": block.sums[1].sqrt(),
            "norm_of_difference": block.sums[2].sqrt(),
            "cosine": block.cosine(),
        }));
    }
    json!({ "blocks": blocks, "only_a": compared.only_first, "only_b": compared.only_second })
}

fn text(compared: &Compared, of_models: bool) -> String {
    let differing: usize = compared.blocks.iter().map(|block| block.differing).sum();
    let mut lines = Vec::new();
    if differing == 0 && compared.only_first.is_empty() && compared.only_second.is_empty() {
        lines.push("they are the same".to_owned());
    }
    let what = if of_models { "tensors" } else { "modules" };
    lines.push(format!("  {:<8}{what:>10}{:>10}{:>12}{:>10}", "block", "differ", "‖A−B‖/‖A‖", "cosine"));
    let share = |block: &BlockDifference| if block.sums[0] > 0.0 { block.share() } else { 0.0 };
    let most = compared.blocks.iter().map(share).fold(0.0, f64::max);
    let mut all = BlockDifference { name: "all".to_owned(), ..BlockDifference::default() };
    for block in &compared.blocks {
        lines.push(line(block, most));
        all.both += block.both;
        all.differing += block.differing;
        all.sums.iter_mut().zip(block.sums).for_each(|(sum, more)| *sum += more);
    }
    lines.push(line(&all, most));
    for (which, names) in [("A", &compared.only_first), ("B", &compared.only_second)] {
        if !names.is_empty() {
            let first: Vec<String> = names.iter().take(NAMES).map(|name| Shown(name).to_string()).collect();
            let more = if names.len() > NAMES { ", …" } else { "" };
            lines.push(format!(
                "  only {which}, or of another shape there: {} ({}{more})",
                names.len(),
                first.join(", ")
            ));
        }
    }
    lines.join("\n")
}

fn line(block: &BlockDifference, most: f64) -> String {
    let BlockDifference { name, both, differing, sums } = block;
    if sums[0] == 0.0 {
        return format!("  {name:<8}{both:>10}{differing:>10}{:>12}", "A is 0");
    }
    let share = block.share();
    let bar = if most > 0.0 { "█".repeat((share / most * BAR).round() as usize) } else { String::new() };
    let cosine = if sums[1] == 0.0 { String::new() } else { format!("{:.4}", block.cosine()) };
    format!("  {name:<8}{both:>10}{differing:>10}{share:>12.6}{cosine:>10}  {bar}").trim_end().to_owned()
}
