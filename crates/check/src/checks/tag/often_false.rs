//! `tag.false`: tags that taggers are often wrong about.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::OFTEN_FALSE;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.false",
        scope: Scope::Tag,
        what: "tags that taggers often see where something else is: a lamp is a moon, a sparkle a star, a shadow a \
               blush",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        for word in OFTEN_FALSE {
            let Some(images) = counts.tags.get(*word) else { continue };
            // What half of the captions say is no slip.
            if 2 * images.len() > counts.images.len() {
                continue;
            }
            found.add(Told {
                subject: (*word).to_owned(),
                number: images.len() as f64,
                threshold: 1.0,
                sentence: format!("in {} captions; taggers are often wrong about it", images.len()),
                remedy: "look at these pictures one by one".to_owned(),
                images: images.clone(),
                ..Told::default()
            });
        }
    }
}
