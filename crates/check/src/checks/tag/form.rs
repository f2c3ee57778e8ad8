//! `tag.form`: how tags are written.

use std::collections::{BTreeMap, BTreeSet};

use crate::about::About;
use crate::finding::{Level, Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.form",
        scope: Scope::Image,
        what: "doubled tags, empty places between commas, spaces at the ends, semicolons; one tag in several spellings",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.tagged() {
        doubles(set, found, index);
        spaces(set, found, index);
    }
    spellings(set, found);
}

fn doubles(set: &Set<'_>, found: &mut Found<'_>, index: usize) {
    let caption = &set.images[index].caption;
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for key in &caption.keys {
        if !seen.insert(key) {
            twice.insert(key.as_str());
        }
    }
    if twice.is_empty() {
        return;
    }
    let names: Vec<&str> = twice.into_iter().collect();
    found.image(
        index,
        Told {
            level: Level::Warning,
            number: names.len() as f64,
            threshold: 1.0,
            sentence: format!("has tags twice: {}", names.join(", ")),
            remedy: "keep the first of each".to_owned(),
            fix: Some(Repair::new("doubles")),
            ..Told::default()
        },
    );
}

fn spaces(set: &Set<'_>, found: &mut Found<'_>, index: usize) {
    let caption = &set.images[index].caption;
    let separator = set.settings(index).captions.separator.trim();
    let line = caption.raw.lines().next().unwrap_or_default();
    let mut said = Vec::new();
    if !separator.is_empty() {
        let parts: Vec<&str> = line.split(separator).collect();
        let filled = parts.iter().rposition(|part| !part.trim().is_empty()).unwrap_or(0);
        if parts[..filled].iter().any(|part| part.trim().is_empty()) {
            said.push("empty places between commas");
        }
        if parts.len() > filled + 1 {
            said.push("a comma at the end");
        }
    }
    if line.trim() != line {
        said.push("spaces at the ends");
    }
    if line.contains("  ") || line.contains('\t') {
        said.push("several spaces");
    }
    let has_semicolons = separator == "," && line.matches(';').count() > line.matches(',').count();
    if has_semicolons {
        said.push("semicolons in place of commas");
    }
    if said.is_empty() {
        return;
    }
    found.image(
        index,
        Told {
            // White space at the ends is stripped before it is trained.
            level: if said == ["spaces at the ends"] { Level::Hint } else { Level::Warning },
            number: said.len() as f64,
            threshold: 1.0,
            sentence: format!("its caption has {}", said.join(", ")),
            remedy: "write tags with a comma and a space between".to_owned(),
            fix: if has_semicolons { None } else { Some(Repair::new("white_space")) },
            ..Told::default()
        },
    );
}

/// Tags that are written in several ways.
fn spellings(set: &Set<'_>, found: &mut Found<'_>) {
    let mut by_key: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for index in set.tagged() {
        let caption = &set.images[index].caption;
        for (tag, key) in caption.tags.iter().zip(&caption.keys) {
            by_key.entry(key).or_default().entry(tag).or_default().push(index);
        }
    }
    for (key, ways) in by_key {
        if ways.len() < 2 {
            continue;
        }
        let mut ranked: Vec<(&str, Vec<usize>)> = ways.into_iter().collect();
        ranked.sort_by_key(|(_, images)| std::cmp::Reverse(images.len()));
        let told: Vec<String> = ranked.iter().map(|(tag, images)| format!("“{tag}” ({})", images.len())).collect();
        let images = ranked[1..].iter().flat_map(|(_, images)| images.iter().copied()).collect();
        found.add(Told {
            level: Level::Warning,
            subject: key.to_owned(),
            number: ranked.len() as f64,
            threshold: 1.0,
            sentence: format!("is written in {} ways: {}", ranked.len(), told.join(", ")),
            remedy: format!("write “{}” throughout: they are other tokens", ranked[0].0),
            images,
            fix: Some(Repair { name: "spelling", tag: Some(key.to_owned()), write: Some(ranked[0].0.to_owned()) }),
            ..Told::default()
        });
    }
}
