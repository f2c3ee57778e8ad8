//! `undo`, `redo` and `history`: what was done to a data set, by whatever command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use chrono::{DateTime, Local};
use lorabake_recipe::count;
use lorabake_tags::journal::Entry;

use super::scope::journal;
use crate::terminal::{self, Shown};

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Past {
    /// The data set's folder, or one in it.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The folder of the journal, if it does not lie beside the data set.
    #[arg(long, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Undo {
    #[command(flatten)]
    pub past: Past,
    /// Takes back the action of this number (`lorabake tags history`), which works while its files are as it left them.
    #[arg(long, value_name = "N")]
    pub number: Option<u64>,
}

/// Takes back the last action, or that of a number.
///
/// # Errors
/// If the journal cannot be read, or files cannot be written.
pub fn undo(args: &Undo) -> Result<ExitCode> {
    let mut journal = journal(&args.past.folder, args.past.journal.as_deref())?;
    match (journal.undo(args.number)?, args.number) {
        (Some(entry), _) => terminal::say(&format!("undone: {}", line(&entry))),
        (None, Some(number)) => {
            bail!("--number: there is no action {number} that is not undone; see `lorabake tags history`")
        }
        (None, None) => terminal::say("nothing to undo"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Does again what was undone last.
///
/// # Errors
/// If the journal cannot be read, or files cannot be written.
pub fn redo(args: &Past) -> Result<ExitCode> {
    match journal(&args.folder, args.journal.as_deref())?.redo()? {
        Some(entry) => terminal::say(&format!("done again: {}", line(&entry))),
        None => terminal::say("nothing to do again"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists all actions.
///
/// # Errors
/// If the journal cannot be read, or files cannot be written.
pub fn history(args: &Past) -> Result<ExitCode> {
    let journal = journal(&args.folder, args.journal.as_deref())?;
    let history = journal.history();
    if history.is_empty() {
        terminal::say("nothing was done to this data set");
    }
    for entry in &history {
        let undone = if entry.is_undone { "   (undone)" } else { "" };
        terminal::result(&format!("{:>4}  {}{undone}", entry.number, line(entry)));
    }
    Ok(ExitCode::SUCCESS)
}

/// `tags add, 12 files, 2026-11-30 21:04`.
fn line(entry: &Entry) -> String {
    let time = i64::try_from(entry.time).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let time = time.map(|time| time.with_timezone(&Local).format(", %Y-%m-%d %H:%M").to_string()).unwrap_or_default();
    format!("{}, {}{time}", Shown(&entry.name), count(entry.changes as usize, "file"))
}
