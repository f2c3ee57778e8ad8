//! `set.closeups`: how many pictures show the head or a part from near, by what tags say and detectors see.

use lorabake_tags::images::Kind;

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::{Image, Set};
use crate::sight::largest;
use crate::tables::words::CLOSE;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.closeups",
        scope: Scope::Folder,
        what: "folders of a figure with few or nearly only near views, by what tags say, and by --detector",
        thresholds: &[
            Threshold::new(
                "least",
                0.15,
                "a hint if a smaller share is tagged as one (portrait, close-up, upper body …)",
            ),
            Threshold::new("most", 0.7, "or a larger one"),
            Threshold::new("face", 0.25, "a face that is seen makes a near view if it has this share of the height"),
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
        let mut near = counts.with_any(set, CLOSE);
        for index in &counts.images {
            if !near.contains(index) && is_near(&set.images[*index], found.limit("face")) {
                near.push(*index);
            }
        }
        let share = near.len() as f64 / counts.images.len() as f64;
        let (threshold, what, remedy) = if share < found.limit("least") {
            (
                found.limit("least"),
                "few",
                "cut heads out of the largest images (lorabake images closeups), and tag them (portrait, close-up)",
            )
        } else if share > found.limit("most") {
            (found.limit("most"), "nearly all", "add whole figures, or they come out badly")
        } else {
            continue;
        };
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: share,
            threshold,
            sentence: format!("{:.0} % are near views, which are {what}", 100.0 * share),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
}

/// Whether a face that is seen fills much of an image.
fn is_near(image: &Image, share: f64) -> bool {
    let Some(face) = largest(&image.seen, Kind::Face) else { return false };
    face.extent()[1] >= share * f64::from(image.item.size.1)
}
