//! `--fix`: mends through the journal of the data set, which takes it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_check::fix::{FIXES, Plan, plan};
use lorabake_check::{Report, Set};
use lorabake_recipe::count;
use lorabake_tags::journal::Home;
use lorabake_tags::{Edit, Journal};

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

/// Mends what was found; with `is_trial` only tells what it would. Whether anything was changed.
///
/// # Errors
/// When a caption cannot be read, or the journal cannot be written; nothing is changed then.
pub fn mend(set: &Set<'_>, report: &Report, names: &[String], is_trial: bool) -> Result<bool> {
    let Plan { edits, captions, renamed, notes } = plan(set, report, names)?;
    notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
    let mut by_set: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for edit in edits {
        let folder = place(&edit).parent().unwrap_or(Path::new(".")).to_owned();
        by_set.entry(Home::of(&folder)?.root().to_owned()).or_default().push(edit);
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
    for (root, edits) in &by_set {
        Journal::open(root)?.apply(&format!("check --fix {}", names.join(" ")), edits)?;
    }
    let roots: Vec<String> = by_set
        .keys()
        .map(|root| format!("lorabake tags undo {}", crate::words::quoted(&root.to_string_lossy())))
        .collect();
    terminal::say(&format!("changed {done}; to take it back: {}", roots.join(" and ")));
    Ok(true)
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
