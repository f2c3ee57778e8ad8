//! `lorabake edit`: what a file says of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lorabake_surgery::edit::{Edit, Edited, edit};
use lorabake_surgery::output::Output;

use crate::terminal::{self, Shown};

/// The largest picture that becomes a cover; it makes every reading of the header slower.
const LARGEST_COVER: u64 = 2 << 20;

/// What follows `lorabake edit`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// A LoRA or a model, .safetensors. Its tensors stay byte by byte.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file to write. Web UIs know a LoRA by the hash of its tensors, which stays; Civitai by that of the file, which
    /// does not.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replaces a file that is there already.
    #[arg(long)]
    overwrite: bool,
    /// Title (modelspec.title).
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Author (modelspec.author).
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,
    /// Description (modelspec.description).
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Words that call what it knows (modelspec.trigger_phrase).
    #[arg(long, value_name = "TEXT")]
    trigger: Option<String>,
    /// Tags (modelspec.tags).
    #[arg(long, value_name = "TEXT")]
    tags: Option<String>,
    /// Licence (modelspec.license).
    #[arg(long, value_name = "TEXT")]
    license: Option<String>,
    /// How to use it (modelspec.usage_hint).
    #[arg(long, value_name = "TEXT")]
    usage_hint: Option<String>,
    /// A picture, JPEG, PNG or WebP (modelspec.thumbnail); of at most 2 MB.
    #[arg(long, value_name = "FILE")]
    cover: Option<PathBuf>,
    /// Any other key; may be given several times.
    #[arg(long, value_name = "KEY=TEXT")]
    set: Vec<String>,
    /// Removes a key; with `*` at its end all that begin so. May be given several times.
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,
}

/// Edits what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut set = BTreeMap::new();
    let words = [
        ("modelspec.title", &args.title),
        ("modelspec.author", &args.author),
        ("modelspec.description", &args.description),
        ("modelspec.trigger_phrase", &args.trigger),
        ("modelspec.tags", &args.tags),
        ("modelspec.license", &args.license),
        ("modelspec.usage_hint", &args.usage_hint),
    ];
    for (key, text) in words {
        if let Some(text) = text {
            set.insert(key.to_owned(), text.clone());
        }
    }
    if let Some(path) = &args.cover {
        set.insert("modelspec.thumbnail".to_owned(), cover(path)?);
    }
    for text in &args.set {
        let (key, value) = text.split_once('=').ok_or_else(|| anyhow!("--set: `{text}` has no =; write KEY=TEXT"))?;
        set.insert(key.trim().to_owned(), value.to_owned());
    }
    let kept = ["sshs_model_hash", "sshs_legacy_hash"];
    if let Some(key) = set.keys().chain(&args.remove).find(|key| kept.contains(&key.as_str())) {
        bail!("{key}: it is the hash of the tensors, which stay; leave it as it is");
    }
    if set.is_empty() && args.remove.is_empty() {
        bail!("edit: nothing is to be changed; give --title, --trigger, --set KEY=TEXT or another");
    }
    let request = Edit { path: args.file.clone(), set, remove: args.remove.clone() };
    let output = Output { path: args.output.clone(), precision: None, overwrite: args.overwrite };
    let Edited { set, removed } = edit(&request, &output)?;
    terminal::say(&format!("{set} changed, {removed} removed"));
    terminal::result(&Shown(args.output.display()).to_string());
    Ok(ExitCode::SUCCESS)
}

/// A picture as metadata have it.
fn cover(path: &Path) -> Result<String> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("--cover {shown}"))?.len();
    if size > LARGEST_COVER {
        bail!("--cover {shown}: it has {:.1} MB; make it smaller, 2 MB at most", size as f64 / 1e6);
    }
    let bytes = std::fs::read(path).with_context(|| format!("--cover {shown}"))?;
    let kind = match bytes.as_slice() {
        [0xff, 0xd8, 0xff, ..] => "jpeg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => bail!("--cover {shown}: it is no JPEG, PNG or WebP; give one"),
    };
    Ok(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)))
}
