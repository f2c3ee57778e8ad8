//! `tag.outlier`: the single "brown hair" of a blonde figure.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::groups::GROUPS;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.outlier",
        scope: Scope::Tag,
        what: "a trait (hair, eyes) that few captions of a folder have where nearly all have another",
        thresholds: &[
            Threshold::new("most", 0.6, "a folder has a trait if at least this share of the captions says so"),
            Threshold::new("least", 0.15, "a warning for others of its group in at most this share"),
        ],
    },
    run,
};

/// Fewer captions than this say nothing.
const FEWEST: usize = 6;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST {
            continue;
        }
        for group in GROUPS.iter().filter(|group| group.is_trait) {
            let Some(main) = group.tags.iter().find(|tag| counts.share(tag) >= found.limit("most")) else { continue };
            for stray in group.tags.iter().filter(|tag| *tag != main && !main.contains(**tag) && !tag.contains(*main)) {
                let share = counts.share(stray);
                if share == 0.0 || share > found.limit("least") {
                    continue;
                }
                let images = counts.tags[*stray].clone();
                found.add(Told {
                    level: Level::Warning,
                    subject: format!("{}: {stray}", set.dataset.folders[folder].name),
                    number: share,
                    threshold: found.limit("least"),
                    sentence: format!(
                        "{stray} in {} captions of a folder that has {main} in {:.0} %",
                        images.len(),
                        100.0 * counts.share(main)
                    ),
                    remedy: "look at these pictures: taggers take a shadow for another colour".to_owned(),
                    images,
                    ..Told::default()
                });
            }
        }
    }
}
