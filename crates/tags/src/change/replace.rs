//! Replacing tags or parts of them, plain or by regular expressions.
//!
//! The three scopes are those of toshiaki1729/stable-diffusion-webui-dataset-tag-editor: whole tags, inside each tag, the
//! caption as a whole.

use regex_lite::{Captures, Regex, RegexBuilder};

use crate::caption_file::CaptionFile;
use crate::text::{folded, tags_of};

/// Most bytes that a regular expression may take, compiled.
const LARGEST: usize = 1 << 20;

/// A text to be replaced, and by what.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// What is looked for.
    pub find: Find,
    /// What is written instead; nothing takes a tag out. `$1` is the first group of a regular expression.
    pub with: String,
    /// Where it is looked for.
    pub scope: Scope,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Find {
    /// A text: as a whole tag compared folded, elsewhere letter by letter.
    Text(String),
    /// A regular expression.
    Regex(Regex),
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whole tags.
    Tag,
    /// Anywhere in each tag.
    Within,
    /// Anywhere in the caption's line, separators included.
    Caption,
}

impl Find {
    /// A regular expression of a user.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).size_limit(LARGEST).build();
        built.map(Self::Regex).map_err(|error| format!("{error}; mend the regular expression, or leave out --regex"))
    }
}

impl Replacement {
    pub(super) fn act_on(&self, caption: &mut CaptionFile) {
        if self.scope != Scope::Caption {
            self.replace_tags(caption);
            return;
        }
        let line = caption.line();
        let new = self.within(&line);
        if new != line {
            // A line end of the user's would make two captions of one.
            caption.set_line(&new.replace(['\n', '\r'], " "));
        }
    }

    fn replace_tags(&self, caption: &mut CaptionFile) {
        let separator = caption.separator().to_owned();
        let mut written = Vec::new();
        for index in (0..caption.parts().len()).rev() {
            let tag = caption.parts()[index].clone();
            let Some(new) = self.of_tag(&tag) else { continue };
            if new == tag {
                continue;
            }
            let new = new.replace(['\n', '\r'], " ");
            let tags = tags_of(&new, &separator);
            for (place, tag) in tags.iter().enumerate() {
                if place == 0 {
                    caption.replace(index, tag);
                } else {
                    caption.insert(index + place, tag);
                }
                written.push(folded(tag));
            }
            if tags.is_empty() {
                caption.remove(index);
            }
        }
        merge(caption, &written);
    }

    /// What a tag becomes; `None` if it does not hold what is looked for.
    fn of_tag(&self, tag: &str) -> Option<String> {
        if tag.is_empty() {
            return None;
        }
        match (&self.find, self.scope) {
            (Find::Text(text), Scope::Tag) => {
                // A tag by itself, however it is written, stays.
                let fits = folded(text) == folded(tag) && (text != &self.with);
                if fits { Some(self.with.clone()) } else { None }
            }
            (Find::Regex(regex), Scope::Tag) => {
                let found = regex.captures(tag)?;
                let whole = found.get(0)?;
                if whole.as_str().len() == tag.len() { Some(expanded(&found, &self.with)) } else { None }
            }
            _ => Some(self.within(tag)),
        }
    }

    fn within(&self, text: &str) -> String {
        match &self.find {
            Find::Text(find) if find.is_empty() => text.to_owned(),
            Find::Text(find) => text.replace(find, &self.with),
            Find::Regex(regex) => regex.replace_all(text, |found: &Captures| expanded(found, &self.with)).into_owned(),
        }
    }
}

fn expanded(found: &Captures, with: &str) -> String {
    let mut text = String::new();
    found.expand(with, &mut text);
    text
}

/// Takes out all but the first of each of these tags: one that has become another that was there is one with it.
fn merge(caption: &mut CaptionFile, written: &[String]) {
    for tag in written {
        let first = caption.position(tag);
        for index in (0..caption.parts().len()).rev() {
            if Some(index) > first && folded(&caption.parts()[index]) == *tag {
                caption.remove(index);
            }
        }
    }
}
