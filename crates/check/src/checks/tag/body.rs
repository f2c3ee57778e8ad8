//! `tag.body`: tags for what everybody has.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::BODY;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.body",
        scope: Scope::Tag,
        what: "tags for parts that everybody has: face, hands, nose",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if !counts.shows_figures(set) {
            continue;
        }
        for word in BODY {
            let Some(images) = counts.tags.get(*word) else { continue };
            found.add(Told {
                subject: (*word).to_owned(),
                number: images.len() as f64,
                threshold: 1.0,
                sentence: format!("in {} captions; that a figure has it need not be said", images.len()),
                remedy: "remove it".to_owned(),
                images: images.clone(),
                ..Told::default()
            });
        }
    }
}
