//! Changing captions: which of them change, showing it or doing it, and what is said afterwards.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_recipe::count;
use lorabake_tags::change::{Change, Outcome, lost};
use lorabake_tags::filter::Pattern;
use lorabake_tags::text::MOST_BYTES;
use lorabake_tags::{CaptionFile, Counts, Edit};

use super::args::Target;
use super::difference;
use super::scope::{Found, tell_parted, typed};
use crate::terminal::{self, Shown};

/// Does `change` to the captions that are meant, or shows what it would do; `verb` is the command's word.
pub(super) fn run(verb: &str, change: &Change, target: &Target) -> Result<ExitCode> {
    let found = target.scope.find()?;
    on_found(verb, change, target, found)
}

/// As [`run`], on captions that have been read.
pub(super) fn on_found(verb: &str, change: &Change, target: &Target, found: Found) -> Result<ExitCode> {
    if let Change::Remove(patterns) = change {
        refuse_activation(patterns, &found)?;
    }
    let counts = Counts::of(found.entries().map(|entry| &entry.caption));
    let mut changed: Vec<CaptionFile> = Vec::new();
    let mut prose = 0;
    for entry in found.entries() {
        let mut caption = entry.caption.clone();
        let outcome = change.act_on(&mut caption, &found.set.activation(entry), &counts, target.prose);
        if outcome == Outcome::Prose {
            prose += 1;
        }
        refuse_long(&caption)?;
        if let (Change::Replace(_), Some(tag)) = (change, lost(&found.set.activation(entry), &entry.caption, &caption))
        {
            bail!(
                "TEXT: it would take {}, the activation tag, out of {}; write another tag as NEW, or give --activation none",
                Shown(tag),
                Shown(found.shown(&target.scope.folder, caption.path()))
            );
        }
        if caption.edit().is_some() {
            changed.push(caption);
        }
    }
    if prose > 0 {
        let left = count(prose, "caption");
        terminal::say(&format!("note: {left} of sentences left alone; --prose treats them as tags too"));
    }
    let all = found.taken.len();
    let new = changed.iter().filter(|caption| !caption.exists()).count();
    let among = if new == 0 { String::new() } else { format!(", {new} of them new") };
    if target.dry_run {
        difference::show(&found, &target.scope.folder, &changed, target.all);
        terminal::say(&format!(
            "{} of {} would change{among}; nothing was written",
            changed.len(),
            count(all, "caption")
        ));
        return Ok(ExitCode::SUCCESS);
    }
    if changed.is_empty() {
        terminal::say(&format!("nothing to change in {}", count(all, "caption")));
        return Ok(ExitCode::SUCCESS);
    }
    let edits: Vec<Edit> = changed.iter().filter_map(CaptionFile::edit).collect();
    let mut journal = target.scope.journal()?;
    journal.apply(&format!("tags {verb}"), &edits)?;
    tell_parted(&journal);
    let folder = typed(&target.scope.folder);
    terminal::say(&format!(
        "{} of {} changed{among}; `lorabake tags undo {folder}` takes it back",
        changed.len(),
        count(all, "caption")
    ));
    tell_unmarked(found, changed);
    Ok(ExitCode::SUCCESS)
}

/// Says how many captions lack the activation tag now.
fn tell_unmarked(mut found: Found, changed: Vec<CaptionFile>) {
    let reading = found.reading.clone();
    found.set.update(changed, &reading);
    let lacking = found.set.without_activation();
    if lacking > 0 {
        let lacking = count(lacking, "caption");
        terminal::say(&format!(
            "note: {lacking} without the activation tag of the folder; `lorabake tags prefix` adds it, and \
             `--only is:unmarked` means those"
        ));
    }
}

/// A caption that no program would read any more is not written.
fn refuse_long(caption: &CaptionFile) -> Result<()> {
    if caption.edit().is_some() && caption.to_bytes().len() as u64 > MOST_BYTES {
        bail!(
            "{}: its caption would be longer than 64 kB, which is not trained; replace less",
            Shown(caption.path().display())
        );
    }
    Ok(())
}

/// An activation tag that is named is not taken out by the way.
fn refuse_activation(patterns: &[Pattern], found: &Found) -> Result<()> {
    for folder in &found.set.folders {
        for tag in folder.activation.tags() {
            let named = patterns
                .iter()
                .any(|pattern| pattern.plain().is_some_and(|plain| lorabake_tags::text::same(&plain, tag)));
            if named {
                bail!(
                    "TAG: {} is the activation tag of {}; give --activation none to take it out all the same",
                    Shown(tag),
                    Shown(&folder.name)
                );
            }
        }
    }
    Ok(())
}
