//! `tag.glue`: what a tagger sees in most images of a folder and no caption says. It becomes part of the activation tag.

use super::score::Scored;
use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.glue",
        scope: Scope::Tag,
        what: "what a tagger sees in most images of a folder and no caption says, so that it becomes part of what is learnt; by \
               --scores",
        thresholds: &[
            Threshold::new("share", 0.6, "a hint if it is seen in at least this share of the images"),
            Threshold::new("score", 0.5, "it is seen from this score on"),
        ],
    },
    run,
};

/// Fewer images than this say nothing.
const FEWEST: usize = 5;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(scores) = set.wanted.tag_scores else { return };
    for folder in set.learnt_folders() {
        let scored = Scored::of(set, scores, folder);
        let all = scored.rows.len();
        if all < FEWEST {
            continue;
        }
        let mut glued: Vec<(String, Vec<usize>)> = scored.missing(set, found.limit("score")).into_iter().collect();
        glued.retain(|(tag, images)| {
            let share = images.len() as f64 / all as f64;
            share >= found.limit("share") && !scored.tagged.contains_key(tag)
        });
        glued.sort_by_key(|(_, images)| std::cmp::Reverse(images.len()));
        for (tag, images) in glued {
            let share = images.len() as f64 / all as f64;
            found.add(Told {
                subject: tag,
                number: share,
                threshold: found.limit("share"),
                sentence: format!("is seen in {:.0} % of the images, and no caption says it", 100.0 * share),
                remedy: "leave it if it belongs to the subject, which it becomes part of; tag it if a prompt should be able to \
                         call it and leave it out"
                    .to_owned(),
                images,
                ..Told::default()
            });
        }
    }
}
