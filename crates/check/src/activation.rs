//! What calls a folder's subject up: as the recipe says, or the tag that its captions share in the first place.

use std::collections::BTreeMap;

use crate::caption::{Caption, folded};
use crate::tables::words::COUNTS;

/// The tags that call a subject up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// As they are written, with commas between.
    pub words: String,
    /// Each as tags are compared.
    pub keys: Vec<String>,
    /// It was guessed from the captions.
    pub is_guessed: bool,
}

/// Share of captions that begin with a tag that is taken for one.
const BEGIN: f64 = 0.6;
/// Share of captions that have the folder's words as a tag.
const HAVE: f64 = 0.5;
/// Fewer captions than this say nothing.
const FEWEST: usize = 3;
/// Most words of a tag that is taken for one.
const MOST_WORDS: usize = 3;

impl Activation {
    /// What calls up a folder with these captions; `None` if nothing is known.
    pub fn of<'a>(
        captions: impl Iterator<Item = &'a Caption> + Clone,
        class_tokens: &str,
        trigger: Option<&str>,
    ) -> Option<Self> {
        if let Some(words) = trigger.filter(|words| !words.trim().is_empty()) {
            return Some(Self::new(words, false));
        }
        let written = captions.filter(|caption| caption.file.is_some() && !caption.tags.is_empty());
        let all = written.clone().count();
        if all < FEWEST {
            return None;
        }
        let class = folded(class_tokens);
        let having = written.clone().filter(|caption| caption.has(&class)).count();
        if !class.is_empty() && having as f64 >= HAVE * all as f64 {
            return Some(Self::new(class_tokens.trim(), true));
        }
        let mut firsts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for caption in written {
            firsts.entry(caption.keys[0].as_str()).or_default().push(&caption.tags[0]);
        }
        let (key, written) = firsts.into_iter().max_by_key(|(_, written)| written.len())?;
        let is_name = key.split(' ').count() <= MOST_WORDS && !COUNTS.contains(&key);
        if is_name && written.len() as f64 >= BEGIN * all as f64 { Some(Self::new(written[0], true)) } else { None }
    }

    /// Whether one of these captions has all tags of `words`.
    pub fn is_used<'a>(mut captions: impl Iterator<Item = &'a Caption>, words: &str) -> bool {
        let activation = Self::new(words, false);
        captions.any(|caption| activation.is_in(caption))
    }

    fn new(words: &str, is_guessed: bool) -> Self {
        let parts = words.split(',').map(folded);
        Self { words: words.trim().to_owned(), keys: parts.filter(|key| !key.is_empty()).collect(), is_guessed }
    }

    /// Whether a tag, as tags are compared, is one of these.
    pub fn holds(&self, key: &str) -> bool {
        self.keys.iter().any(|own| own == key)
    }

    /// Whether a caption begins with all of them, in this order.
    pub fn is_first(&self, caption: &Caption) -> bool {
        caption.keys.starts_with(&self.keys)
    }

    /// Whether a caption has all of them.
    pub fn is_in(&self, caption: &Caption) -> bool {
        self.keys.iter().all(|key| caption.has(key))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn captions(texts: &[&str]) -> Vec<Caption> {
        texts.iter().map(|text| Caption::new(Some(Path::new("no such file")), text, ",")).collect()
    }

    #[test]
    fn it_is_what_captions_share_in_the_first_place() {
        let own = captions(&["Penny, hat", "penny, sky", "hat, penny", "penny"]);
        let found = Activation::of(own.iter(), "", None).unwrap();
        assert_eq!((found.words.as_str(), found.is_guessed), ("Penny", true));
        assert!(found.is_first(&own[1]) && !found.is_first(&own[2]) && found.is_in(&own[2]));
        let tagger = captions(&["1girl, hat", "1girl, sky", "1girl, sea"]);
        assert_eq!(Activation::of(tagger.iter(), "", None), None);
        let by_folder = captions(&["hat, penny", "sky, penny", "sea"]);
        assert_eq!(Activation::of(by_folder.iter(), "penny", None).unwrap().keys, ["penny"]);
        let given = Activation::of(by_folder.iter(), "penny", Some("Aru, red_dress")).unwrap();
        assert_eq!((given.keys, given.is_guessed), (vec!["aru".to_owned(), "red dress".to_owned()], false));
    }
}
