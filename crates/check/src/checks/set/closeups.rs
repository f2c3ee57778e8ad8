//! `set.closeups`: how many pictures show the head or a part from near.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::CLOSE;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.closeups",
        scope: Scope::Folder,
        what: "folders of a figure with few or nearly only near views, by what tags say",
        thresholds: &[
            Threshold::new(
                "least",
                0.15,
                "a hint if a smaller share is tagged as one (portrait, close-up, upper body …)",
            ),
            Threshold::new("most", 0.7, "or a larger one"),
        ],
    },
    run,
};

/// Fewer images than this say nothing.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST || !counts.shows_figures(set) {
            continue;
        }
        let near = counts.with_any(set, CLOSE);
        let share = near.len() as f64 / counts.images.len() as f64;
        let (threshold, what, remedy) = if share < found.limit("least") {
            (found.limit("least"), "few", "crop heads out of the largest images, and tag them (portrait, close-up)")
        } else if share > found.limit("most") {
            (found.limit("most"), "nearly all", "add whole figures, or they come out badly")
        } else {
            continue;
        };
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: share,
            threshold,
            sentence: format!("{:.0} % are near views by their tags, which are {what}", 100.0 * share),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
}
