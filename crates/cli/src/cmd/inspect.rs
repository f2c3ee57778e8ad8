//! `lorabake inspect`: what a model or a LoRA is, and what it tells of its training.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::count;
use lorabake_surgery::check::{Finding, check};
use lorabake_weights::inspect::{AdapterReport, Change, FileReport, inspect};

use crate::surgery_args::no_net;
use crate::terminal::{self, Shown};

mod rows;

use rows::Row;

/// Tags that are shown unless told otherwise.
const TAGS: usize = 20;
/// Image folders that are shown.
const FOLDERS: usize = 20;
/// Names that nobody knows, of which so many are shown.
const NAMES: usize = 8;

/// What follows `lorabake inspect`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// Checkpoints, diffusers folders, LoRAs, VAEs, embeddings, latents (.npz), folders of a run's saved state.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many tags to show, or all. [default: 20]
    #[arg(long, value_name = "N|all", value_parser = tag_count)]
    tags: Option<usize>,
    /// Hash files larger than 512 MB too, and measure the changes of such a LoRA, which takes seconds per gigabyte.
    #[arg(long)]
    hash: bool,
    /// Print the recipe that lorabake keeps in its LoRAs, and nothing else.
    #[arg(long, conflicts_with = "json")]
    recipe: bool,
    /// Look at every number: values that are none, modules that do nothing or far too much, alphas above the rank, keys that no
    /// program reads. The exit code is 1 if something is damaged.
    #[arg(long, conflicts_with_all = ["json", "recipe"])]
    check: bool,
    /// The model that a LoRA was made for, which --check needs for the norms of some kinds.
    #[arg(long, value_name = "MODEL", requires = "check")]
    base: Option<PathBuf>,
    /// Print everything as JSON, an array with one object per file.
    #[arg(long)]
    json: bool,
}

/// Prints what the files are; a file that cannot be read does not hide the others.
///
/// # Errors
/// When JSON cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut reports = Vec::new();
    let mut code = ExitCode::SUCCESS;
    if let Some(base) = &args.base {
        no_net("--base", base, "give the model that the LoRA was made for")?;
    }
    if args.check {
        return Ok(checked(args));
    }
    for file in &args.files {
        match inspect(file, args.hash) {
            Ok(report) => reports.push(report),
            Err(error) => {
                terminal::say(&format!("error: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    if args.json {
        terminal::quoted_data(&serde_json::to_string_pretty(&reports)?);
        return Ok(code);
    }
    for (index, report) in reports.iter().enumerate() {
        if args.recipe {
            match &report.recipe {
                Some(recipe) => terminal::data(recipe),
                None => {
                    terminal::say(&format!("error: {} has no recipe of lorabake in it", report.file));
                    code = ExitCode::FAILURE;
                }
            }
            continue;
        }
        let blank = if index > 0 { "\n" } else { "" };
        terminal::result(&format!("{blank}{}", text(report, args.tags.unwrap_or(TAGS))));
    }
    Ok(code)
}

/// What is wrong with the files, or odd.
fn checked(args: &Args) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in &args.files {
        let shown = Shown(file.display()).to_string();
        match check(file, args.base.as_deref()) {
            Ok(findings) if findings.is_empty() => terminal::result(&format!("{shown}: nothing is wrong")),
            Ok(findings) => {
                for Finding { is_grave, what } in findings {
                    let kind = if is_grave { "damaged" } else { "odd" };
                    terminal::result(&format!("{shown}: {kind}: {}", Shown(what)));
                    if is_grave {
                        code = ExitCode::FAILURE;
                    }
                }
            }
            Err(error) => {
                terminal::say(&format!("error: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn tag_count(text: &str) -> Result<usize, String> {
    match text {
        "all" => Ok(usize::MAX),
        _ => text.parse().map_err(|_| "write a number, or all".to_owned()),
    }
}

/// Everything in lines for people.
fn text(report: &FileReport, tags: usize) -> String {
    let mut rows = vec![Row::new("what it is", what(report))];
    if let Some(prediction) = report.prediction {
        rows.push(Row::new("the UNet predicts", rows::prediction(prediction)));
    }
    let dtypes: Vec<String> = report.dtypes.iter().map(|(name, count)| format!("{name} × {count}")).collect();
    let numbers =
        format!("{} in {} ({})", count(report.parameters, "value"), count(report.tensors, "tensor"), dtypes.join(", "));
    rows.push(Row::new("size", format!("{:.1} MB; {numbers}", report.bytes as f64 / 1e6)));
    if report.averages > 0 {
        rows.push(Row::new("averages (EMA)", format!("{}, which training ignores", count(report.averages, "tensor"))));
    }
    if let Some(hashes) = &report.hashes {
        rows.extend(rows::hashes(hashes));
    }
    rows.extend(rows::training(report));
    for folder in report.folders.iter().take(FOLDERS) {
        let kind = if folder.regularization { "regularization folder" } else { "image folder" };
        let images = count(folder.images, "image");
        let value = format!("{}: {images} × {}", folder.name, count(folder.repeats, "repeat"));
        rows.push(Row::new(kind, value));
    }
    if report.folders.len() > FOLDERS {
        rows.push(Row::new("", format!("and {} more, see --json", count(report.folders.len() - FOLDERS, "folder"))));
    }
    if !report.tags.is_empty() && tags > 0 {
        let shown: Vec<String> = report.tags.iter().take(tags).map(|(tag, count)| format!("{tag} {count}")).collect();
        let more = report.tags.len().saturating_sub(tags);
        let more = if more > 0 { format!("; {more} more, see --tags all") } else { String::new() };
        rows.push(Row::new("tags", format!("{}{more}", shown.join(", "))));
    }
    rows.extend(report.ignored.iter().map(rows::ignored));
    if !report.unknown.is_empty() {
        let first = &report.unknown[..report.unknown.len().min(NAMES)];
        rows.push(Row::new("unknown tensors", format!("{}: {}", report.unknown.len(), first.join(", "))));
    }
    if report.recipe.is_some() {
        rows.push(Row::new("recipe", "kept in it; see --recipe"));
    }
    let mut lines = vec![report.file.clone()];
    for Row { label, value } in &rows {
        lines.push(format!("  {label:<24}{value}"));
    }
    if let Some(adapter) = &report.adapter {
        lines.extend(table(adapter));
    }
    // Whatever a file says, it says on lines of ours.
    let lines: Vec<String> = lines.iter().map(|line| Shown(line).to_string()).collect();
    lines.join("\n")
}

/// The first line's answer.
fn what(report: &FileReport) -> String {
    let kind = report.kind.name();
    let family = report.family.as_ref().map_or(String::new(), |family| format!(", {family}"));
    let Some(adapter) = &report.adapter else { return format!("{kind}{family}") };
    let algorithms: Vec<&str> = adapter.algorithms.iter().copied().collect();
    let mut form = vec![format!("{} names", adapter.naming)];
    let flags = [(adapter.convolutions, "3×3 convolutions"), (adapter.dora, "DoRA"), (adapter.tucker, "Tucker form")];
    form.extend(flags.iter().filter(|(given, _)| *given).map(|(_, name)| (*name).to_owned()));
    format!("{}{family} ({})", algorithms.join(" and "), form.join(", "))
}

/// Ranks, alphas and sizes of changes, block by block.
fn table(adapter: &AdapterReport) -> Vec<String> {
    let modules = count(adapter.unet_modules, "module");
    let networks = format!("  {modules} in the UNet, {} in text encoders", adapter.text_modules);
    let measured = !adapter.changes.is_empty();
    let change =
        if measured { format!("{:>10}{:>10}{:>10}", "‖ΔW‖ mean", "largest", "all") } else { String::new() };
    let head = format!("  {:<8}{:>8}  {:<12}{:<12}{change}", "block", "modules", "rank", "alpha");
    let mut lines = vec![networks, head.trim_end().to_owned()];
    for block in &adapter.blocks {
        let ranks: Vec<String> = block.ranks.iter().map(ToString::to_string).collect();
        let alphas: Vec<&str> = block.alphas.iter().map(String::as_str).collect();
        let (ranks, alphas) = (ranks.join(", "), alphas.join(", "));
        let change = block.change.map_or(String::new(), numbers);
        let line = format!("  {:<8}{:>8}  {ranks:<12}{alphas:<12}{change}", block.name, block.modules);
        lines.push(line.trim_end().to_owned());
    }
    let norms: Vec<f64> = adapter.changes.values().copied().collect();
    lines.extend(Change::of(&norms).map(|all| format!("  {:<8}{:>8}  {:<24}{}", "all", all.modules, "", numbers(all))));
    if measured && adapter.dora {
        lines.push("  ‖ΔW‖ is that of the product before DoRA's decomposition".to_owned());
    }
    lines
}

fn numbers(change: Change) -> String {
    format!("{:>10.4}{:>10.4}{:>10.4}", change.mean, change.largest, change.whole)
}
