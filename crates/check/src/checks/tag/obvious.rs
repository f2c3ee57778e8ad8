//! `tag.obvious`: captions that leave out what everybody sees.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::WORN;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.obvious",
        scope: Scope::Folder,
        what: "folders of figures of which most captions tell neither hair nor clothes",
        thresholds: &[Threshold::new("share", 0.5, "a hint if a larger share does not")],
    },
    run,
};

/// Fewer captions than this say nothing.
const FEWEST: usize = 5;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST || !counts.shows_figures(set) {
            continue;
        }
        let mut images = Vec::new();
        for index in &counts.images {
            let mut is_told = false;
            for key in &set.images[*index].caption.keys {
                let last = key.rsplit(' ').next().unwrap_or(key);
                is_told |= (last == "hair" && key != "hair") || WORN.contains(&last);
            }
            if !is_told {
                images.push(*index);
            }
        }
        let share = images.len() as f64 / counts.images.len() as f64;
        if share <= found.limit("share") {
            continue;
        }
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: share,
            threshold: found.limit("share"),
            sentence: format!("{:.0} % of the captions tell neither hair nor clothes", 100.0 * share),
            remedy: "the guide tags what is obvious, to be able to change it; another school leaves fixed traits \
                     out, so that they go into the activation tag: both work, a mixture does not"
                .to_owned(),
            images,
            ..Told::default()
        });
    }
}
