//! Scores that taggers have given the images of a set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::caption::folded;

/// Scores of taggers by the content of images.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagScores {
    by_content: HashMap<String, BTreeMap<String, f64>>,
    known: BTreeSet<String>,
}

impl TagScores {
    /// Adds what a tagger says of the image whose file has this SHA-256 (hexadecimal); of several taggers the highest score
    /// counts. An image without a tag stays known.
    pub fn add<'a>(&mut self, content: &str, tags: impl IntoIterator<Item = ScoreOf<'a>>) {
        let own = self.by_content.entry(content.to_owned()).or_default();
        for ScoreOf { tag, score } in tags {
            let key = folded(tag);
            let best = own.entry(key.clone()).or_insert(score);
            *best = best.max(score);
            self.known.insert(key);
        }
    }

    /// The scores of an image by tag as tags are compared; tags that are missing were next to nothing.
    pub fn of(&self, content: &str) -> Option<&BTreeMap<String, f64>> {
        self.by_content.get(content)
    }

    /// Whether a tagger has seen this tag anywhere, so that it knows it.
    pub fn knows(&self, key: &str) -> bool {
        self.known.contains(key)
    }
}

/// A tag with its score, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreOf<'a> {
    /// The tag, as the tagger writes it.
    pub tag: &'a str,
    /// How likely it is.
    pub score: f64,
}
