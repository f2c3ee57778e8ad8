//! `tag.score`: tags that a tagger is sure of and captions lack, and tags that it does not see where captions have them.

use std::collections::BTreeMap;

use crate::about::{About, Threshold};
use crate::caption::{Caption, is_within};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::sight::TagScores;
use crate::tables::groups::{CHAINS, CLASSES};
use crate::tables::words::{BODY, META, META_BEGINNINGS, NO_SUBJECT};

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.score",
        scope: Scope::Tag,
        what: "tags that a tagger is sure of and that captions of a folder lack though others have them; tags that it does not \
               see where captions have them; by --scores",
        thresholds: &[
            Threshold::new("sure", 0.8, "a tag is missing from this score on"),
            Threshold::new("unseen", 0.1, "a tag is not seen below this score"),
            Threshold::new(
                "knows",
                0.5,
                "nothing is said of tags that a tagger does not see in a larger share of their images",
            ),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(scores) = set.wanted.tag_scores else { return };
    for folder in set.learnt_folders() {
        let scored = Scored::of(set, scores, folder);
        for (tag, images) in sorted(scored.missing(set, found.limit("sure"))) {
            // What no caption has is `tag.glue`'s.
            if !scored.tagged.contains_key(&tag) {
                continue;
            }
            let count = images.len();
            found.add(Told {
                number: count as f64,
                threshold: 1.0,
                sentence: format!(
                    "is seen in {} that {} it not",
                    captions(count),
                    if count == 1 { "has" } else { "have" }
                ),
                remedy: "look at these pictures, and add it where it is (lorabake tags add)".to_owned(),
                images,
                subject: tag,
                ..Told::default()
            });
        }
        for (tag, images) in sorted(scored.unseen(set, scores, found.limit("unseen"))) {
            let all = scored.tagged[&tag];
            if images.len() as f64 > found.limit("knows") * all as f64 {
                continue;
            }
            found.add(Told {
                number: images.len() as f64,
                threshold: 1.0,
                sentence: format!("is not seen in {} of the {} with it", images.len(), captions(all)),
                remedy: "look at these pictures, and take it out where it is not".to_owned(),
                images,
                subject: tag,
                ..Told::default()
            });
        }
    }
}

fn captions(count: usize) -> String {
    if count == 1 { "1 caption".to_owned() } else { format!("{count} captions") }
}

/// Tags of most images first.
fn sorted(tags: BTreeMap<String, Vec<usize>>) -> Vec<(String, Vec<usize>)> {
    let mut list: Vec<(String, Vec<usize>)> = tags.into_iter().collect();
    list.sort_by_key(|(_, images)| std::cmp::Reverse(images.len()));
    list
}

/// The images of a folder that have captions of tags and scores.
pub(super) struct Scored<'a> {
    /// Images, with their scores.
    pub rows: Vec<Row<'a>>,
    /// In how many captions each tag is.
    pub tagged: BTreeMap<String, usize>,
}

/// The scores of an image.
pub(super) struct Row<'a> {
    pub index: usize,
    pub scores: &'a BTreeMap<String, f64>,
}

impl<'a> Scored<'a> {
    pub(super) fn of(set: &Set<'_>, scores: &'a TagScores, folder: usize) -> Self {
        let mut scored = Self { rows: Vec::new(), tagged: BTreeMap::new() };
        for index in set.tagged().filter(|index| set.images[*index].item.folder == folder) {
            let image = &set.images[index];
            let Some(own) = image.content.as_deref().and_then(|content| scores.of(content)) else { continue };
            scored.rows.push(Row { index, scores: own });
            let mut keys: Vec<&String> = image.caption.keys.iter().collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                *scored.tagged.entry(key.clone()).or_default() += 1;
            }
        }
        scored
    }

    /// Tags with at least this score in captions that do not say so, with the images.
    pub(super) fn missing(&self, set: &Set<'_>, sure: f64) -> BTreeMap<String, Vec<usize>> {
        let mut missing: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for Row { index, scores } in &self.rows {
            let caption = &set.images[*index].caption;
            for (tag, score) in scores.iter() {
                if *score >= sure && !is_said(caption, tag) && !is_idle(tag) {
                    missing.entry(tag.clone()).or_default().push(*index);
                }
            }
        }
        missing
    }

    /// Tags of captions with less than this score, with the images; the activation tag is nothing that a tagger knows.
    fn unseen(&self, set: &Set<'_>, scores: &TagScores, unseen: f64) -> BTreeMap<String, Vec<usize>> {
        let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for Row { index, scores: own } in &self.rows {
            for tag in &set.images[*index].caption.keys {
                let is_activation = set.activation(*index).is_some_and(|activation| activation.holds(tag));
                if !is_activation && scores.knows(tag) && own.get(tag).is_none_or(|score| *score < unseen) {
                    all.entry(tag.clone()).or_default().push(*index);
                }
            }
        }
        all
    }
}

/// Tags that need not be said.
fn is_idle(tag: &str) -> bool {
    BODY.contains(&tag)
        || META.contains(&tag)
        || NO_SUBJECT.contains(&tag)
        || META_BEGINNINGS.iter().any(|begin| tag.starts_with(begin))
}

/// Whether a caption says a tag, or more than it: `red boots` says `boots` and `red footwear`, `very long hair` says `long
/// hair`.
fn is_said(caption: &Caption, tag: &str) -> bool {
    caption
        .keys
        .iter()
        .any(|key| key == tag || is_within(tag, key) || is_later_in_chain(key, tag) || is_class_of(tag, key))
}

fn is_later_in_chain(key: &str, tag: &str) -> bool {
    CHAINS.iter().any(|chain| {
        let place = |word: &str| chain.iter().position(|own| *own == word);
        matches!((place(key), place(tag)), (Some(one), Some(other)) if one > other)
    })
}

/// Whether `tag` is the class of `key`, with its colour or without: `red footwear` of `red boots`.
fn is_class_of(tag: &str, key: &str) -> bool {
    CLASSES.iter().any(|class| {
        let Some(color) = tag.strip_suffix(class.class) else { return false };
        let Some(thing) = key.strip_prefix(color.trim_end()) else { return false };
        class.things.contains(&thing.trim_start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_other_words_is_not_missing() {
        let caption = Caption::new(None, "penny, red boots, very long hair", ",");
        for said in ["boots", "red footwear", "long hair", "red_boots"].map(crate::caption::folded) {
            assert!(is_said(&caption, &said), "{said}");
        }
        for missing in ["hat", "blue footwear", "absurdly long hair", "brown hair"] {
            assert!(!is_said(&caption, missing), "{missing}");
        }
    }
}
