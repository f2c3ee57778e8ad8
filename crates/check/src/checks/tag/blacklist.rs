//! `tag.blacklist`: tags about something that is not in the picture.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::NO_SUBJECT;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.blacklist",
        scope: Scope::Tag,
        what: "tags that compare with something outside of the picture: alternate costume, cosplay, no eyewear",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        for word in NO_SUBJECT {
            let Some(images) = counts.tags.get(*word) else { continue };
            found.add(Told {
                subject: (*word).to_owned(),
                number: images.len() as f64,
                threshold: 1.0,
                sentence: format!("in {} captions; a model cannot see what it compares with", images.len()),
                remedy: "remove it".to_owned(),
                images: images.clone(),
                ..Told::default()
            });
        }
    }
}
