//! `tag.onoff`: tags that are in nearly all captions and so become one with the subject, and controlled ones without
//! examples.
//!
//! The limits are those of caption-audit: from 85 % of the captions on a tag is one with the subject, from 60 % on it
//! comes along strongly. Whether that is wrong nobody but the user knows: a trait may be so, a hat should come and
//! go.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::{COUNTS, META, WORN};
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.onoff",
        scope: Scope::Tag,
        what: "tags in nearly all captions of a folder: they stick to the subject; controlled tags \
               (lorabake-check.toml) with too few images with or without them",
        thresholds: &[
            Threshold::new("stuck", 0.85, "from this share of the captions on; a warning for what is worn or carried"),
            Threshold::new("strong", 0.6, "a hint from here on"),
            Threshold::new(
                "least",
                2.0,
                "a warning if a controlled tag, or what is worn, is off in fewer images; also on, if controlled",
            ),
        ],
    },
    run,
};

/// Fewer captions than this say nothing.
const FEWEST: usize = 5;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST {
            continue;
        }
        for (key, images) in &counts.tags {
            let is_activation = set.activations[folder].as_ref().is_some_and(|own| own.holds(key));
            if !is_activation && !COUNTS.contains(&key.as_str()) && !META.contains(&key.as_str()) {
                tell(set, found, key, images, &counts);
            }
        }
        for key in &set.wanted.settings.controlled {
            if !counts.tags.contains_key(key) {
                tell(set, found, key, &[], &counts);
            }
        }
    }
}

fn tell(set: &Set<'_>, found: &mut Found<'_>, key: &str, on: &[usize], counts: &TagCounts) {
    let all = counts.images.len();
    let off = all - on.len();
    let share = counts.share(key);
    let least = found.limit("least");
    let is_controlled = set.wanted.settings.controlled.iter().any(|own| own == key);
    let is_worn = WORN.contains(&key.rsplit(' ').next().unwrap_or(key));
    let should_go = is_controlled || is_worn;
    let is_rare = is_controlled && (on.len() as f64) < least;
    let (level, threshold, what) = match share {
        _ if is_rare => (Level::Warning, least, "so that it cannot be learnt"),
        _ if should_go && (off as f64) < least => (Level::Warning, least, "so that it cannot be taken off"),
        _ if share >= found.limit("stuck") && should_go => {
            (Level::Warning, found.limit("stuck"), "so that it sticks to the subject")
        }
        _ if share >= found.limit("stuck") => (Level::Hint, found.limit("stuck"), "so that it sticks to the subject"),
        _ if share >= found.limit("strong") => (Level::Hint, found.limit("strong"), "so that it comes along strongly"),
        _ => return,
    };
    let remedy = if should_go || is_rare {
        "add images with and without it, or edit it in and out of some"
    } else {
        "leave it if it belongs to the subject; else add images without it"
    };
    let without = counts.images.iter().copied().filter(|index| !on.contains(index)).collect();
    found.add(Told {
        level,
        subject: key.to_owned(),
        number: share,
        threshold,
        sentence: format!("on in {} and off in {off} images, {what}", on.len()),
        remedy: remedy.to_owned(),
        images: if off <= on.len() { without } else { on.to_vec() },
        ..Told::default()
    });
}
