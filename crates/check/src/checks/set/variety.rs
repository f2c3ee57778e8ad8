//! `set.variety`: the same pose, clothes or place again and again.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::{PLACES, PLAIN_BACKGROUNDS, POSES, WORN};
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.variety",
        scope: Scope::Folder,
        what: "folders in which nearly all images have one pose, one piece of clothing or one place, by what tags say",
        thresholds: &[Threshold::new("share", 0.8, "a hint if a larger share has the same one")],
    },
    run,
};

/// Fewer images than this say nothing.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let limit = found.limit("share");
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST {
            continue;
        }
        for (key, images) in &counts.tags {
            let share = images.len() as f64 / counts.images.len() as f64;
            let is_activation = set.activations[folder].as_ref().is_some_and(|own| own.holds(key));
            let Some(kind) = kind(key) else { continue };
            if share <= limit || is_activation {
                continue;
            }
            found.add(Told {
                subject: format!("{}: {key}", set.dataset.folders[folder].name),
                number: share,
                threshold: limit,
                sentence: format!("{:.0} % have the same {kind}", 100.0 * share),
                remedy: "add images with others, or edit some".to_owned(),
                ..Told::default()
            });
        }
    }
}

fn kind(key: &str) -> Option<&'static str> {
    if POSES.contains(&key) {
        return Some("pose or view");
    }
    if PLACES.contains(&key) || PLAIN_BACKGROUNDS.contains(&key) {
        return Some("background");
    }
    let last = key.rsplit(' ').next().unwrap_or(key);
    if WORN.contains(&last) { Some("piece of clothing") } else { None }
}
