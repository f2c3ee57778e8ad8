//! `tag.back`: plain backgrounds that are tagged so in most captions.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::PLAIN_BACKGROUNDS;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.back",
        scope: Scope::Folder,
        what: "folders with plain backgrounds in most captions",
        thresholds: &[Threshold::new("share", 0.5, "a hint if a larger share says simple or white background")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        let images = counts.with_any(set, PLAIN_BACKGROUNDS);
        let share = images.len() as f64 / counts.images.len().max(1) as f64;
        if share <= found.limit("share") {
            continue;
        }
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: share,
            threshold: found.limit("share"),
            sentence: format!("{:.0} % of the captions tell of a plain background", 100.0 * share),
            remedy: "tagged, it can be asked for and taken out by a negative prompt; untagged, it comes unasked: \
                     vary backgrounds if you can"
                .to_owned(),
            images,
            ..Told::default()
        });
    }
}
