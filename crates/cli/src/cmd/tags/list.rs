//! `lorabake tags list`: the tags with how many captions have them and have them not.

use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::count;
use lorabake_tags::Counts;
use lorabake_tags::counts::{Band, Counted};
use serde_json::json;

use super::args::{List, ListOrder};
use super::scope::Found;
use crate::terminal::{self, Shown};

/// Folders whose activation tags are told.
const SOME_FOLDERS: usize = 10;

pub(super) fn run(args: &List) -> Result<ExitCode> {
    let found = args.scope.find()?;
    let counts = Counts::of(found.entries().map(|entry| &entry.caption));
    let mut tags = counts.tags();
    match args.sort {
        ListOrder::Count => {}
        ListOrder::Name => tags.sort_by(|one, other| one.tag.cmp(&other.tag)),
        ListOrder::Rare => tags.sort_by(|one, other| one.on.cmp(&other.on).then(one.tag.cmp(&other.tag))),
    }
    if args.json {
        terminal::quoted_data(&as_json(&found, &tags)?);
        return Ok(ExitCode::SUCCESS);
    }
    for line in summary(&found, &tags) {
        terminal::say(&line);
    }
    let shown = if args.top == 0 { tags.len() } else { args.top.min(tags.len()) };
    let mut text = "   on   off  share  tag".to_owned();
    for tag in &tags[..shown] {
        text += &format!("\n{}", line(&found, tag));
    }
    terminal::result(&text);
    if shown < tags.len() {
        terminal::say(&format!("… and {} more; --top 0 shows all", count(tags.len() - shown, "tag")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lines that stand above the table.
fn summary(found: &Found, tags: &[Counted]) -> Vec<String> {
    let entries: Vec<_> = found.entries().collect();
    let missing = entries.iter().filter(|entry| !entry.caption.exists()).count();
    let mut first = format!("{}, {}", count(entries.len() - missing, "caption"), count(tags.len(), "tag"));
    if missing > 0 {
        first += &format!(", {} without a caption", count(missing, "image"));
    }
    let single = tags.iter().filter(|tag| tag.band() == Band::Single && !is_activation(found, tag)).count();
    if single > 0 {
        first += &format!("; {single} of the tags are rare or stand alone (--sort rare)");
    }
    let mut lines = vec![first];
    for folder in found.set.folders.iter().take(SOME_FOLDERS) {
        for tag in folder.activation.tags() {
            lines.push(format!("activation tag of {}: {}", Shown(&folder.name), Shown(tag)));
        }
    }
    if found.set.folders.len() > SOME_FOLDERS {
        lines.push(format!("… and {} more", count(found.set.folders.len() - SOME_FOLDERS, "folder")));
    }
    let lacking = found.set.without_activation();
    if lacking > 0 {
        lines.push(format!("note: {} without it; --only is:unmarked lists them", count(lacking, "caption")));
    }
    lines
}

fn line(found: &Found, tag: &Counted) -> String {
    let mut notes = Vec::new();
    if is_activation(found, tag) {
        notes.push("activation tag".to_owned());
    } else {
        match tag.band() {
            Band::Stuck => notes.push(format!("stuck to the subject: only {} without it", count(tag.off, "caption"))),
            Band::Strong => notes.push("in most captions".to_owned()),
            Band::Single if tag.on == 1 => notes.push("stands alone".to_owned()),
            Band::Single => notes.push("rare".to_owned()),
            Band::Balanced => {}
        }
    }
    if !tag.variants.is_empty() {
        let variants: Vec<String> = tag.variants.iter().map(|text| Shown(text).to_string()).collect();
        notes.push(format!("also written {}", variants.join(", ")));
    }
    let share = format!("{:.0}%", 100.0 * tag.share());
    let notes = if notes.is_empty() { String::new() } else { format!("   [{}]", notes.join("; ")) };
    format!("{:>5} {:>5}  {share:>5}  {}{notes}", tag.on, tag.off, Shown(&tag.tag))
}

fn is_activation(found: &Found, tag: &Counted) -> bool {
    found.set.folders.iter().any(|folder| folder.activation.contains(&tag.tag))
}

fn as_json(found: &Found, tags: &[Counted]) -> Result<String> {
    let mut list = Vec::new();
    for tag in tags {
        let band = match tag.band() {
            Band::Stuck => "stuck",
            Band::Strong => "strong",
            Band::Balanced => "balanced",
            Band::Single => "single",
        };
        list.push(json!({
            "tag": tag.tag,
            "on": tag.on,
            "off": tag.off,
            "share": tag.share(),
            "band": band,
            "activation": is_activation(found, tag),
            "variants": tag.variants,
        }));
    }
    let value = json!({
        "captions": found.entries().filter(|entry| entry.caption.exists()).count(),
        "images_without_caption": found.entries().filter(|entry| !entry.caption.exists()).count(),
        "without_activation": found.set.without_activation(),
        "tags": list,
    });
    Ok(serde_json::to_string_pretty(&value)?)
}
