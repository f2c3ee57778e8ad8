//! `tag.meta`: tags that tell of a file or a site.

use crate::about::About;
use crate::finding::{Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::{META, META_BEGINNINGS};
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.meta",
        scope: Scope::Tag,
        what: "tags that tell of the file or the site and not of the picture: highres, commentary, rating:s",
        thresholds: &[],
    },
    run,
};

/// Whether a tag, as tags are compared, is such a one.
pub fn is_meta(key: &str) -> bool {
    META.contains(&key) || META_BEGINNINGS.iter().any(|beginning| key.starts_with(beginning))
}

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        for (key, images) in &counts.tags {
            if !is_meta(key) {
                continue;
            }
            found.add(Told {
                subject: key.clone(),
                number: images.len() as f64,
                threshold: 1.0,
                sentence: format!("in {} captions; it tells of the file, not of the picture", images.len()),
                remedy: "remove it, unless the checkpoint was trained with it on purpose".to_owned(),
                images: images.clone(),
                fix: Some(Repair { name: "meta", tag: Some(key.clone()), write: None }),
                ..Told::default()
            });
        }
    }
}
