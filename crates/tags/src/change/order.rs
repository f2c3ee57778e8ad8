//! The order of tags, and tags that are there twice.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::activation::Activation;
use crate::caption_file::CaptionFile;
use crate::counts::Counts;
use crate::text::folded;

/// An order of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the alphabet, folded.
    Name,
    /// Tags of most captions first.
    Count,
    /// Short ones first.
    Length,
    /// The other way round than they are.
    Reverse,
}

impl Order {
    /// Sorts the tags behind the activation tags and `keep` more.
    pub(super) fn act_on(self, caption: &mut CaptionFile, keep: usize, activation: &Activation, counts: &Counts) {
        caption.keep_first(activation);
        let own = activation.tags().iter().filter(|tag| caption.has(tag)).count();
        let parts = caption.parts();
        let fixed = (own + keep).min(parts.len());
        let mut rest: Vec<usize> = (fixed..parts.len()).filter(|index| !parts[*index].is_empty()).collect();
        let empty = (fixed..parts.len()).filter(|index| parts[*index].is_empty());
        let name = |index: &usize| folded(&parts[*index]);
        match self {
            Self::Name => rest.sort_by_cached_key(name),
            Self::Count => rest.sort_by_cached_key(|index| (Reverse(counts.of_folded(&name(index))), name(index))),
            Self::Length => rest.sort_by_cached_key(|index| (name(index).chars().count(), name(index))),
            Self::Reverse => rest.reverse(),
        }
        let order: Vec<usize> = (0..fixed).chain(rest.iter().copied()).chain(empty).collect();
        caption.reorder(&order);
    }
}

/// Takes out empty parts, and tags that are there before, compared folded.
pub fn dedupe(caption: &mut CaptionFile) {
    let mut seen = HashSet::new();
    let mut twice = Vec::new();
    for (index, part) in caption.parts().iter().enumerate() {
        if part.is_empty() || !seen.insert(folded(part)) {
            twice.push(index);
        }
    }
    for index in twice.into_iter().rev() {
        caption.remove(index);
    }
}
