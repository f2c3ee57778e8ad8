//! `--fix`: mends through the journal of the data set, which takes it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_check::fix::{FIXES, Plan, plan};
use lorabake_check::{Report, Set};
use lorabake_data::full_path;
use lorabake_recipe::count;
use lorabake_tags::journal::Home;
use lorabake_tags::{Edit, Journal};

use crate::cmd::tags::scope::tell_parted;
use crate::terminal::{self, Shown};

/// Stands for all fixes.
const ALL: &str = "all";

/// The fixes that are asked for.
///
/// # Errors
/// When one is not known.
pub fn names(asked: &[String]) -> Result<Vec<String>> {
    let all: Vec<String> = FIXES.iter().map(|fix| fix.name.to_owned()).collect();
    if asked.iter().any(|name| name == ALL) {
        return Ok(all);
    }
    for name in asked {
        if !all.contains(name) {
            bail!("--fix {name}: there is no such fix; there are {}, and all", all.join(", "));
        }
    }
    Ok(asked.to_vec())
}

/// What is mended, and how.
pub struct Wish<'a> {
    /// The fixes, by name.
    pub names: &'a [String],
    /// The folders that were asked about: what is in one of them is changed through its journal, as one action.
    pub folders: &'a [PathBuf],
    /// Whether to tell only what would be changed,
    pub is_trial: bool,
    /// and that as JSON.
    pub json: bool,
}

/// Mends what was found, or tells what it would. Whether anything was changed.
///
/// # Errors
/// When a caption cannot be read, or a journal cannot be written; what other data sets have been changed before is told.
pub fn mend(set: &Set<'_>, report: &Report, wish: &Wish<'_>) -> Result<bool> {
    let Wish { names, folders, is_trial, json } = *wish;
    let Plan { edits, captions, renamed, notes } = plan(set, report, names)?;
    notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
    let mut by_set: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for edit in edits {
        let home = home_of(place(&edit), folders)?;
        by_set.entry(home.root().to_owned()).or_default().push(edit);
    }
    if is_trial && json {
        terminal::quoted_data(&serde_json::to_string_pretty(&serde_json::json!({
            "would_change": by_set.values().flatten().map(as_json).collect::<Vec<_>>(),
        }))?);
        return Ok(false);
    }
    if by_set.is_empty() {
        terminal::say("nothing to fix");
        return Ok(false);
    }
    let done = format!("{}, {}", count(captions, "caption"), count(renamed, "image name"));
    if is_trial {
        by_set.values().flatten().for_each(show);
        terminal::say(&format!("would change {done} (--dry_run)"));
        return Ok(false);
    }
    let mut undo: Vec<String> = Vec::new();
    for (root, edits) in &by_set {
        let applied = Journal::open(root).and_then(|mut journal| {
            journal.apply(&title(names), edits)?;
            Ok(journal)
        });
        match applied {
            Ok(journal) => tell_parted(&journal),
            Err(error) => {
                if !undo.is_empty() {
                    let undo = undo.join(" and ");
                    terminal::say(&format!("note: some was changed before that; to take it back: {undo}"));
                }
                return Err(error.into());
            }
        }
        undo.push(format!("lorabake tags undo {}", crate::words::quoted(&root.to_string_lossy())));
    }
    terminal::say(&format!("changed {done}; to take it back: {}", undo.join(" and ")));
    Ok(true)
}

fn title(names: &[String]) -> String {
    format!("check --fix {}", names.join(" "))
}

/// The data set that a file is changed with: the folder around it that was asked about, or its own.
fn home_of(path: &Path, folders: &[PathBuf]) -> Result<Home> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let whole = full_path(folder);
    for asked in folders {
        if whole.starts_with(full_path(asked)) {
            return Ok(Home::of(asked)?);
        }
    }
    Ok(Home::of(folder)?)
}

fn as_json(edit: &Edit) -> serde_json::Value {
    match edit {
        Edit::Write { path, before, after } => {
            let before = before.as_deref().map(String::from_utf8_lossy);
            serde_json::json!({ "path": path, "before": before, "after": String::from_utf8_lossy(after) })
        }
        Edit::Move { from, to } => serde_json::json!({ "from": from, "to": to }),
    }
}

fn place(edit: &Edit) -> &Path {
    match edit {
        Edit::Write { path, .. } => path,
        Edit::Move { from, .. } => from,
    }
}

/// What an edit would do.
fn show(edit: &Edit) {
    match edit {
        Edit::Write { path, before, after } => {
            let [before, after] = [before.as_deref().unwrap_or_default(), after].map(String::from_utf8_lossy);
            terminal::result(&format!(
                "{}\n  - {}\n  + {}",
                Shown(path.display()),
                Shown(before.trim_end()),
                Shown(after.trim_end())
            ));
        }
        Edit::Move { from, to } => terminal::result(&format!("{} → {}", Shown(from.display()), Shown(to.display()))),
    }
}
