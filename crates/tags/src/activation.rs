//! Activation tags: the words that call what is trained. Every caption that is written has them first.
//!
//! The guide: "your activation tag should be the very first tag in the tag list, and present in every tag file".

use std::collections::HashMap;

use crate::text::{folded, is_prose, tags_of};

/// How many of the captions of a folder begin with its activation tag at least.
const SHARE: f64 = 0.6;
/// Captions from which an activation tag can be told.
const FEWEST: usize = 3;

/// Tags that often come first and call nothing of a user's own: taggers write them so. Compared folded.
const GENERAL: [&str; 24] = [
    "1girl",
    "2girls",
    "3girls",
    "4girls",
    "5girls",
    "6+girls",
    "multiple girls",
    "1boy",
    "2boys",
    "3boys",
    "4boys",
    "5boys",
    "6+boys",
    "multiple boys",
    "1other",
    "solo",
    "no humans",
    "general",
    "sensitive",
    "questionable",
    "explicit",
    "masterpiece",
    "best quality",
    "simple background",
];

/// The activation tags of a folder, in their order; none if nothing is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activation {
    tags: Vec<String>,
}

impl Activation {
    /// No activation tag.
    pub fn none() -> Self {
        Self::default()
    }

    /// The activation tags that a user names, separated as tags are.
    pub fn named(words: &str, separator: &str) -> Self {
        Self { tags: tags_of(words, separator).into_iter().map(str::to_owned).collect() }
    }

    /// The activation tag that the captions of one folder have in common: the first tag of at least 60 % of those that have
    /// tags, if there are three, and if it is not one that taggers put first anyway. `words` are those of the folder's name,
    /// which settle it for any number of captions that begin with them.
    pub fn common<'a>(captions: impl IntoIterator<Item = &'a str>, words: &str, separator: &str) -> Self {
        let mut counts: HashMap<String, Count<'a>> = HashMap::new();
        let mut filled = 0;
        for caption in captions {
            let Some(first) = tags_of(caption, separator).first().copied() else { continue };
            filled += 1;
            if !is_prose(first) {
                counts.entry(folded(first)).or_insert(Count { written: first, captions: 0 }).captions += 1;
            }
        }
        if let Some(named) = counts.get(&folded(words)) {
            return Self { tags: vec![named.written.to_owned()] };
        }
        let most = counts.into_iter().max_by(|(a, one), (b, other)| one.captions.cmp(&other.captions).then(b.cmp(a)));
        let Some((tag, count)) = most else { return Self::none() };
        let enough = count.captions >= FEWEST && count.captions as f64 >= SHARE * f64::from(filled);
        if !enough || GENERAL.contains(&tag.as_str()) {
            return Self::none();
        }
        Self { tags: vec![count.written.to_owned()] }
    }

    /// The activation tags, in their order, as they are written.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether nothing is known of activation tags.
    pub fn is_none(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether a tag is one of them.
    pub fn contains(&self, tag: &str) -> bool {
        let tag = folded(tag);
        self.tags.iter().any(|own| folded(own) == tag)
    }
}

struct Count<'a> {
    /// As the first caption has it.
    written: &'a str,
    captions: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(captions: &[&str], words: &str) -> Vec<String> {
        Activation::common(captions.iter().copied(), words, ",").tags
    }

    #[test]
    fn the_tag_that_most_captions_begin_with_is_told() {
        assert_eq!(common(&["Penny, 1girl", "penny, solo", "penny", "hat, penny", ""], ""), ["Penny"]);
        // Too few, too rarely, and what taggers put first anyway.
        assert!(common(&["penny, 1girl", "penny"], "").is_empty());
        assert!(common(&["a, x", "a, y", "a", "b", "c", "d"], "").is_empty());
        assert!(common(&["1girl, solo", "1girl, hat", "1girl"], "").is_empty());
        assert!(common(&["A girl stands on a very large field", "", " "], "").is_empty());
    }

    #[test]
    fn the_words_of_the_folder_settle_it() {
        assert_eq!(common(&["red_hat, x", "1girl"], "red hat"), ["red_hat"]);
        assert_eq!(common(&["a, 1girl", "a, solo", "a"], "red hat"), ["a"]);
    }

    #[test]
    fn a_user_may_name_several() {
        let named = Activation::named("penny, red_hat", ",");
        assert_eq!(named.tags(), ["penny", "red_hat"]);
        assert!(named.contains("Red Hat ") && !named.contains("hat"));
    }
}
