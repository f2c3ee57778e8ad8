//! How many captions have a tag, and what that means for a LoRA: tags that are on and off, stuck, or there once.
//!
//! Bounds of "stuck" and "strong" are those of caption-audit 1.3.0; the guide asks to "provide examples with certain tags
//! on and off".

use std::collections::{HashMap, HashSet};

use crate::caption_file::CaptionFile;
use crate::text::folded;

/// A tag of this share of captions cannot be told from the subject.
pub const STUCK: f64 = 0.85;
/// A tag of this share of captions comes along most times.
pub const STRONG: f64 = 0.60;
/// A tag of at most this share of captions, or of one, is a single one.
pub const SINGLE: f64 = 0.02;

/// Tags with the number of captions that have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    captions: usize,
    tags: HashMap<String, Tag>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    /// How it is written, with the number of captions that write it so.
    written: HashMap<String, usize>,
    captions: usize,
}

/// A tag of a set of captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// As most captions write it.
    pub tag: String,
    /// Other ways in which it is written.
    pub variants: Vec<String>,
    /// Captions that have it.
    pub on: usize,
    /// Captions that do not.
    pub off: usize,
}

/// What the number of a tag's captions means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// Nearly all captions have it.
    Stuck,
    /// Most captions have it.
    Strong,
    /// Some have it, some do not.
    Balanced,
    /// One has it, or next to none.
    Single,
}

impl Counts {
    /// Counts the tags of captions.
    pub fn of<'a>(captions: impl IntoIterator<Item = &'a CaptionFile>) -> Self {
        let mut counts = Self::default();
        for caption in captions {
            counts.add(caption);
        }
        counts
    }

    fn add(&mut self, caption: &CaptionFile) {
        self.captions += 1;
        let mut seen = HashSet::new();
        for written in caption.tags() {
            let tag = folded(written);
            if !seen.insert(tag.clone()) {
                continue;
            }
            let entry = self.tags.entry(tag).or_insert_with(|| Tag { written: HashMap::new(), captions: 0 });
            entry.captions += 1;
            *entry.written.entry(written.to_owned()).or_default() += 1;
        }
    }

    /// How many captions were counted.
    pub fn captions(&self) -> usize {
        self.captions
    }

    /// How many captions have a tag.
    pub fn captions_with(&self, tag: &str) -> usize {
        self.of_folded(&folded(tag))
    }

    pub(crate) fn of_folded(&self, folded: &str) -> usize {
        self.tags.get(folded).map_or(0, |tag| tag.captions)
    }

    /// All tags, those of most captions first.
    pub fn tags(&self) -> Vec<Counted> {
        let mut list = Vec::new();
        for tag in self.tags.values() {
            let mut written: Vec<(&String, usize)> = tag.written.iter().map(|(text, count)| (text, *count)).collect();
            written.sort_by(|(one, few), (other, many)| many.cmp(few).then(one.cmp(other)));
            let mut texts = written.into_iter().map(|(text, _)| text.clone());
            let Some(first) = texts.next() else { continue };
            list.push(Counted {
                tag: first,
                variants: texts.collect(),
                on: tag.captions,
                off: self.captions - tag.captions,
            });
        }
        list.sort_by(|one, other| other.on.cmp(&one.on).then(one.tag.cmp(&other.tag)));
        list
    }
}

impl Counted {
    /// The share of captions that have it, 0 to 1.
    pub fn share(&self) -> f64 {
        self.on as f64 / (self.on + self.off).max(1) as f64
    }

    /// What its number means. Fewer than five captions tell nothing of stuck tags, and fewer than three nothing at all.
    pub fn band(&self) -> Band {
        let captions = self.on + self.off;
        let share = self.share();
        if captions < 3 {
            return Band::Balanced;
        }
        if captions >= 5 && share >= STUCK {
            return Band::Stuck;
        }
        if self.on as f64 <= (SINGLE * captions as f64).max(1.0) {
            return Band::Single;
        }
        if captions >= 5 && share >= STRONG { Band::Strong } else { Band::Balanced }
    }
}
