//! `tag.pose`: captions that tell of no pose, which make pictures samey.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::{FRAMING, POSES};
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.pose",
        scope: Scope::Folder,
        what: "folders of figures of which many captions tell neither pose nor view",
        thresholds: &[Threshold::new("share", 0.3, "a warning if a larger share does not")],
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
            let caption = &set.images[*index].caption;
            let first_word = |key: &String| POSES.contains(&key.split(' ').next().unwrap_or(key));
            if !caption.has_any(POSES) && !caption.has_any(FRAMING) && !caption.keys.iter().any(first_word) {
                images.push(*index);
            }
        }
        let share = images.len() as f64 / counts.images.len() as f64;
        if share <= found.limit("share") {
            continue;
        }
        found.add(Told {
            level: Level::Warning,
            subject: set.dataset.folders[folder].name.clone(),
            number: share,
            threshold: found.limit("share"),
            sentence: format!("{:.0} % of the captions tell no pose and no view", 100.0 * share),
            remedy: "tag poses and views (sitting, from behind, portrait), or pictures come out samey".to_owned(),
            images,
            ..Told::default()
        });
    }
}
