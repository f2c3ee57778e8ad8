//! `tag.single`: tags that hardly any caption has.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tag_counts::{TagCounts, some_of};

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.single",
        scope: Scope::Folder,
        what: "tags in one caption only, or in next to none",
        thresholds: &[Threshold::new("share", 0.02, "a tag counts as such in one caption, or in at most this share")],
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
        let most = (found.limit("share") * counts.images.len() as f64).max(1.0);
        let mut names = Vec::new();
        let mut images = Vec::new();
        for (key, having) in &counts.tags {
            let is_activation = set.activations[folder].as_ref().is_some_and(|own| own.holds(key));
            if having.len() as f64 <= most && !is_activation {
                names.push(key.clone());
                images.extend(having);
            }
        }
        if names.is_empty() {
            continue;
        }
        images.sort_unstable();
        images.dedup();
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: names.len() as f64,
            threshold: most,
            sentence: format!(
                "{} of {} tags are in {most:.0} caption or fewer: {}",
                names.len(),
                counts.tags.len(),
                some_of(&names)
            ),
            remedy: "drop what is wrong or does not matter; keep what tells of something that is there once".to_owned(),
            images,
            ..Told::default()
        });
    }
}
