//! `lorabake check`: what is wrong with images, captions and tags before anything is trained.

pub mod brief;
mod fix;
mod page;
mod sight;
mod target;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow, bail};
use lorabake_check::{Level, Measuring, Report, Set, Settings, TagList, Wanted, abouts, cache, gather, report};
use lorabake_model::tokenizer::Tokenizer;
use lorabake_recipe::guide::question::Category;
use lorabake_weights::whole_file;

use crate::picture_args::values;
use crate::progress::Counter;
use crate::report_place;
use crate::stop;
use crate::terminal::{self, Shown};
use sight::Named;
use target::Target;

/// The file that thresholds and intentions are read from, beside the images.
const SETTINGS: &str = "lorabake-check.toml";

/// The options; their comments are the texts of `--help`.
#[derive(Debug, Default, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// Folders of images, or of folders such as 10_penny; or a recipe file, whose folders and settings are taken.
    #[arg(value_name = "FOLDER|RECIPE", required = true)]
    targets: Vec<PathBuf>,
    /// Folder of `N_class` folders with regularization images.
    #[arg(long, value_name = "FOLDER")]
    reg_data_dir: Option<PathBuf>,
    /// The resolution that is trained at. [default: that of the recipe, or 512; buckets are on]
    #[arg(long, value_name = "PIXELS|WIDTH,HEIGHT")]
    resolution: Option<String>,
    /// What is to be learnt, for the number of images that it needs: A to I for characters, style, concept or
    /// vehicle, as for lorabake advise.
    #[arg(long, value_name = "A-I|style|concept|vehicle")]
    category: Option<Category>,
    /// The tag that calls the subject up. [default: that of the recipe, or what most captions begin with]
    #[arg(long, value_name = "WORDS")]
    trigger_word: Option<String>,
    /// Lists of known tags, as a1111-tagcomplete has them (danbooru.csv): tag,category,posts,"aliases". That of the
    /// checkpoint's site first; may be given several times.
    #[arg(long, value_name = "FILE.csv")]
    tag_list: Vec<PathBuf>,
    /// Detectors of faces, heads, persons or writing (YOLOv8 as .onnx, or ultralytics' .pt), by which figures are counted and
    /// faces looked at. May be given several times.
    #[arg(long, value_name = "FILE")]
    detector: Vec<PathBuf>,
    /// How sure a detector has to be, from 0 to 1. [default: 0.3]
    #[arg(long, value_name = "SHARE", value_parser = values::share, requires = "detector")]
    confidence: Option<f64>,
    /// Scores of a tagger, as lorabake tag --scores writes them: what it sees and captions do not say, and the other way
    /// round.
    #[arg(long, value_name = "FILE.jsonl")]
    scores: Option<PathBuf>,
    /// Thresholds, and what is meant as it is. [default: lorabake-check.toml in the folder or the one around it]
    #[arg(long, value_name = "FILE.toml")]
    settings: Option<PathBuf>,
    /// Asks these checks only, such as img.small, or all that begin so: img.,tag.
    #[arg(long, value_name = "CHECK,CHECK", value_delimiter = ',')]
    only: Vec<String>,
    /// Shows every finding, not the first ones of each check.
    #[arg(long)]
    all: bool,
    /// Mends what can be mended by itself, through the journal of the data set, which takes it back (lorabake tags
    /// undo): suffix, mark, white_space, doubles, spelling, meta, activation_typo, activation_first, or all. What is
    /// left is then told.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    fix: Vec<String>,
    /// With --fix: only shows what would be changed.
    #[arg(long, requires = "fix", conflicts_with = "html")]
    dry_run: bool,
    /// Prints everything as JSON.
    #[arg(long)]
    json: bool,
    /// Writes a page with the pictures, which needs no network; an earlier one is replaced.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Folder for what was measured, so that the next time is quick. [default: lorabake in the user's cache folder]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    cache_dir: Option<PathBuf>,
    /// Measures everything anew, and keeps nothing.
    #[arg(long)]
    no_cache: bool,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

/// Checks what `args` name. The exit code is 1 if there are errors.
///
/// # Errors
/// When there is nothing to check, or an option or a file that is named is wrong.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("--threads cannot be set")?;
    }
    if let Some(page) = &args.html {
        report_place::check("--html", page, &report_place::PAGE, &["lorabake check"])?;
    }
    let target = Target::of(args)?;
    let settings = settings(args)?;
    let mut tag_lists = Vec::new();
    for path in &args.tag_list {
        tag_lists.push(TagList::read(path).map_err(|error| anyhow!("--tag_list {error}"))?);
    }
    let tokenizer = Tokenizer::new();
    let count_tokens = |text: &str| tokenizer.encode(text).len();
    let detectors = sight::detectors(args)?;
    let scores = args.scores.as_deref().map(sight::scores).transpose()?;
    let wanted = Wanted {
        data: &target.data,
        settings: &settings,
        run: target.run.clone(),
        count_tokens: Some(&count_tokens),
        tag_lists: &tag_lists,
        tag_scores: scores.as_ref(),
        cache: cache_place(args),
        measuring: Measuring::New,
    };
    let fixes = fix::names(&args.fix)?;
    let Some(mut set) = gathered(&wanted, &detectors)? else { return Ok(stopped()) };
    let mut found = report(&set);
    let wish = fix::Wish { names: &fixes, folders: &target.folders, is_trial: args.dry_run, json: args.json };
    if !fixes.is_empty() && fix::mend(&set, &found, &wish)? {
        let Some(mended) = gathered(&wanted, &detectors)? else { return Ok(stopped()) };
        set = mended;
        found = report(&set);
    }
    if !args.dry_run {
        show(args, &set, &found)?;
    }
    Ok(if found.counts.errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The names of the checks that have found something wrong with each image of `folder`, by the image's canonical path; what
/// is meant as it is does not count.
///
/// # Errors
/// When there is nothing to check, a settings file is wrong, or Ctrl-C ended it.
pub fn issues(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<String>>> {
    let args = Args { targets: vec![folder.to_owned()], ..Args::default() };
    let target = Target::of(&args)?;
    let settings = settings(&args)?;
    let tokenizer = Tokenizer::new();
    let count_tokens = |text: &str| tokenizer.encode(text).len();
    let wanted = Wanted {
        data: &target.data,
        settings: &settings,
        run: target.run.clone(),
        count_tokens: Some(&count_tokens),
        tag_lists: &[],
        tag_scores: None,
        cache: cache_place(&args),
        measuring: Measuring::New,
    };
    let Some(set) = gathered(&wanted, &[])? else { bail!("stopped while images were looked at") };
    let mut issues: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for finding in report(&set).findings.iter().filter(|finding| finding.level != Level::Intended) {
        for image in &finding.images {
            // An image that went meanwhile has no name to be asked for.
            let Ok(path) = std::fs::canonicalize(image) else { continue };
            issues.entry(path).or_default().push(finding.id.to_owned());
        }
    }
    Ok(issues)
}

/// Ctrl-C ended it.
fn stopped() -> ExitCode {
    terminal::say("stopped; what was measured is kept");
    ExitCode::from(stop::INTERRUPTED as u8)
}

fn show(args: &Args, set: &Set<'_>, report: &Report) -> Result<()> {
    if args.json {
        terminal::quoted_data(&serde_json::to_string_pretty(report)?);
    } else {
        terminal::result(&words::text(report, args.all));
    }
    if let Some(path) = &args.html {
        let page = page::page(set, report);
        whole_file::write(path, |file| file.write_all(page.as_bytes())).with_context(|| {
            format!("--html {}: it cannot be written; name a file in a folder of your own", path.display())
        })?;
        if !args.json {
            terminal::result(&Shown(path.display()).to_string());
        }
    }
    Ok(())
}

/// Reads and measures everything, and has detectors look at it; `None` if Ctrl-C ended it.
fn gathered<'a>(wanted: &'a Wanted<'a>, detectors: &[Named]) -> Result<Option<Set<'a>>> {
    let wished = stop::wished()?;
    let counter: Mutex<Option<Counter>> = Mutex::new(None);
    let tell = |progress: lorabake_check::Progress| {
        // A panic elsewhere ends the program anyway.
        let Ok(mut counter) = counter.lock() else { return };
        let counter = counter.get_or_insert_with(|| Counter::new("looking at images", progress.all as u64));
        counter.set(progress.done as u64, String::new());
    };
    let set = gather(wanted, &tell, &|| wished.load(Ordering::Relaxed));
    if let Ok(Some(counter)) = counter.into_inner() {
        counter.clear();
    }
    let Some(mut set) = set else { return Ok(None) };
    Ok(if sight::see(&mut set, detectors)? { Some(set) } else { None })
}

fn cache_place(args: &Args) -> Option<PathBuf> {
    if args.no_cache {
        return None;
    }
    args.cache_dir.clone().or_else(cache::user_folder)
}

/// What the user has settled, with the checks off that were not asked for.
fn settings(args: &Args) -> Result<Settings> {
    let abouts = abouts();
    let mut settings = match settings_file(args) {
        Some(path) => {
            let bytes = std::fs::read(&path).with_context(|| format!("--settings {}", path.display()))?;
            let text = lorabake_recipe::text_file::decode_settings(bytes)
                .map_err(|line| anyhow!("{}: line {line} is no text; save it as UTF-8", path.display()))?;
            match Settings::parse(&text, &abouts) {
                Ok(settings) => settings,
                Err(problems) => {
                    let last = problems.len() - 1;
                    problems[..last]
                        .iter()
                        .for_each(|what| terminal::say(&format!("error: {}: {what}", path.display())));
                    bail!("{}: {}", path.display(), problems[last]);
                }
            }
        }
        None => Settings::default(),
    };
    for name in &args.only {
        if !abouts.iter().any(|about| about.id.starts_with(name.as_str())) {
            let all: Vec<&str> = abouts.iter().map(|about| about.id).collect();
            bail!("--only {name}: there is no such check; there are {}", all.join(", "));
        }
    }
    if !args.only.is_empty() {
        let is_asked = |id: &str| args.only.iter().any(|name| id.starts_with(name.as_str()));
        settings.off.extend(abouts.iter().map(|about| about.id.to_owned()).filter(|id| !is_asked(id)));
    }
    Ok(settings)
}

/// The file that is named, or that lies beside the images.
fn settings_file(args: &Args) -> Option<PathBuf> {
    if let Some(path) = &args.settings {
        return Some(path.clone());
    }
    let first = args.targets.first()?;
    let folder = if first.is_dir() { first.as_path() } else { first.parent().unwrap_or(Path::new("")) };
    let own = folder.join(SETTINGS);
    let around = std::fs::canonicalize(folder).ok()?.parent()?.join(SETTINGS);
    [own, around].into_iter().find(|path| path.is_file())
}
