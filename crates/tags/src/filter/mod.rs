//! Which images a change is for, in a small language after taggui's (jhc13/taggui, README "Image list filter").
//!
//! ```text
//! tag:"red boots"      has this tag; `*` stands for any letters, `?` for one
//! caption:walking      these words are in the caption; the same for name:, path:, folder:
//! tags:>13             number of tags; the same for chars:, tokens:, width:, height:, size: (the shorter side)
//! is:empty             or missing, prose, tags, unmarked (lacks the activation tag)
//! issue:blurry         what `lorabake check` found
//! NOT a AND (b OR c)   NOT binds most, then AND, which may be left out, then OR
//! boots                without a word before it: in the caption or the path
//! ```
//!
//! Texts are compared folded ([`crate::text::folded`]).

mod parse;
mod pattern;

use std::path::Path;

use crate::caption_file::Kind;
use crate::set::{CaptionSet, Entry, is_in};
use crate::text::folded;

pub use parse::parse;
pub use pattern::Pattern;

/// A condition on an image with its caption.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Not this.
    Not(Box<Filter>),
    /// All of these.
    All(Vec<Filter>),
    /// One of these.
    Any(Vec<Filter>),
    /// A text.
    Text(Field, Pattern),
    /// A number.
    Number(Amount, Comparison),
    /// What the caption is.
    Is(State),
}

/// A text of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// One of its tags, whole.
    Tag,
    /// A part of its caption.
    Caption,
    /// A part of its file's name.
    Name,
    /// A part of its path.
    Path,
    /// The name of its folder, whole.
    Folder,
    /// The name of something that was found wrong with it, whole.
    Issue,
    /// A part of its caption or path.
    Anything,
}

/// A number of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// How many tags it has.
    Tags,
    /// How many letters its caption has.
    Chars,
    /// How many tokens its caption has.
    Tokens,
    /// In pixels.
    Width,
    /// In pixels.
    Height,
    /// The shorter side in pixels.
    Size,
}

/// What a number is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Whether a smaller number fits.
    pub below: bool,
    /// Whether the same number fits.
    pub equal: bool,
    /// Whether a larger number fits.
    pub above: bool,
    /// The number.
    pub number: u64,
}

/// What a caption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing in its first line, or no file.
    Empty,
    /// There is no file.
    Missing,
    /// Sentences.
    Prose,
    /// Tags.
    Tags,
    /// An activation tag of its folder is not in it.
    Unmarked,
}

/// What a filter may ask that this crate does not know. Asked only where a filter needs it.
pub trait Facts {
    /// How many tokens a text has; `None` if nobody can tell.
    fn tokens(&self, text: &str) -> Option<u64>;
    /// Width and height of an image in pixels; `None` if it cannot be read.
    fn size(&self, image: &Path) -> Option<(u32, u32)>;
    /// Names of what was found wrong with an image.
    fn issues(&self, image: &Path) -> Vec<String>;
}

/// Knows nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn tokens(&self, _: &str) -> Option<u64> {
        None
    }

    fn size(&self, _: &Path) -> Option<(u32, u32)> {
        None
    }

    fn issues(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
}

impl Filter {
    /// The patterns that ask for an issue which none of the `known` names is, such as misspelt ones.
    pub fn unknown_issues(&self, known: &[&str]) -> Vec<String> {
        match self {
            Self::Not(inner) => inner.unknown_issues(known),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(|part| part.unknown_issues(known)).collect(),
            Self::Text(Field::Issue, pattern) if !known.iter().any(|name| pattern.is(&folded(name))) => {
                vec![pattern.text()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether an entry fits: its caption, and one of its images.
    pub fn fits(&self, set: &CaptionSet, entry: &Entry, facts: &dyn Facts) -> bool {
        match self {
            Self::Not(inner) => !inner.fits(set, entry, facts),
            Self::All(inner) => inner.iter().all(|filter| filter.fits(set, entry, facts)),
            Self::Any(inner) => inner.iter().any(|filter| filter.fits(set, entry, facts)),
            Self::Text(field, pattern) => has_text(*field, pattern, set, entry, facts),
            Self::Number(amount, comparison) => comparison.fits_any(&amounts(*amount, entry, facts)),
            Self::Is(state) => state.is_of(set, entry),
        }
    }
}

fn has_text(field: Field, pattern: &Pattern, set: &CaptionSet, entry: &Entry, facts: &dyn Facts) -> bool {
    let in_caption = || pattern.is_in(&folded(&entry.caption.caption()));
    let in_path = |path: &Path| pattern.is_in(&folded(&path.to_string_lossy().replace('\\', "/")));
    match field {
        Field::Tag => entry.caption.tags().any(|tag| pattern.is(&folded(tag))),
        Field::Caption => in_caption(),
        Field::Name => entry.images.iter().any(|image| pattern.is_in(&folded(&name(image)))),
        Field::Path => entry.images.iter().any(|image| in_path(image)),
        Field::Folder => pattern.is(&folded(&set.folder(entry).name)),
        Field::Issue => {
            let mut issues = entry.images.iter().flat_map(|image| facts.issues(image));
            issues.any(|issue| pattern.is(&folded(&issue)))
        }
        Field::Anything => in_caption() || entry.images.iter().any(|image| in_path(image)),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The numbers of an entry: one, or one for each of its images that can be read.
fn amounts(amount: Amount, entry: &Entry, facts: &dyn Facts) -> Vec<u64> {
    let side = |pick: fn((u32, u32)) -> u32| {
        let sizes = entry.images.iter().filter_map(|image| facts.size(image));
        sizes.map(|size| u64::from(pick(size))).collect()
    };
    match amount {
        Amount::Tags => vec![entry.caption.tags().count() as u64],
        Amount::Chars => vec![entry.caption.caption().chars().count() as u64],
        Amount::Tokens => facts.tokens(&entry.caption.caption()).into_iter().collect(),
        Amount::Width => side(|(width, _)| width),
        Amount::Height => side(|(_, height)| height),
        Amount::Size => side(|(width, height)| width.min(height)),
    }
}

impl Comparison {
    fn fits_any(self, numbers: &[u64]) -> bool {
        numbers.iter().any(|number| match number.cmp(&self.number) {
            std::cmp::Ordering::Less => self.below,
            std::cmp::Ordering::Equal => self.equal,
            std::cmp::Ordering::Greater => self.above,
        })
    }
}

impl State {
    fn is_of(self, set: &CaptionSet, entry: &Entry) -> bool {
        let caption = &entry.caption;
        match self {
            Self::Empty => caption.kind() == Kind::Empty,
            Self::Missing => !caption.exists(),
            Self::Prose => caption.kind() == Kind::Prose,
            Self::Tags => caption.kind() == Kind::Tags,
            Self::Unmarked => {
                let activation = &set.folder(entry).activation;
                activation.tags().iter().any(|tag| !is_in(caption, tag))
            }
        }
    }
}
