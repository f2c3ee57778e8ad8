//! `cap.empty`: caption files that say nothing.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.empty",
        scope: Scope::Image,
        what: "caption files of which nothing is trained: blank, or blank in their first line",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in 0..set.images.len() {
        let caption = &set.images[index].caption;
        if caption.file.is_none() || !caption.tags.is_empty() {
            continue;
        }
        let has_more = !caption.raw.trim().is_empty();
        let sentence =
            if has_more { "the first line of its caption has nothing in it" } else { "its caption has nothing in it" };
        let remedy = if has_more { "put the tags into the first line" } else { "write a caption, or delete the file" };
        found.image(
            index,
            Told { level: Level::Error, sentence: sentence.to_owned(), remedy: remedy.to_owned(), ..Told::default() },
        );
    }
}
