//! What can be done to the tags of a caption: one file each. Nothing here touches the disk or asks which files.
//!
//! Prose is no list of tags: [`Change::act_on`] leaves it alone unless asked. Whatever is done, the activation tags are first
//! afterwards.

mod consolidate;
mod existing;
mod order;
mod put;
mod replace;
mod take;
mod view;

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};
use crate::counts::Counts;

pub use consolidate::{Proposal, beside, consolidated, proposals};
pub use existing::{Existing, write_tags};
pub use order::{Order, dedupe};
pub use put::Place;
pub use replace::{Find, Replacement, Scope, lost};
pub use view::write_view;

/// A change of a caption's tags.
#[derive(Debug, Clone)]
pub enum Change {
    /// Tags that are added where they are not there yet.
    Add {
        /// The tags, in their order.
        tags: Vec<String>,
        /// Where they go.
        place: Place,
    },
    /// Tags that are taken out, activation tags excepted.
    Remove(Vec<crate::filter::Pattern>),
    /// A text that is written otherwise.
    Replace(Replacement),
    /// Tags that go to the front, behind the activation tags, in this order.
    MoveFirst(Vec<String>),
    /// Tags that are there twice, and empty ones.
    Dedupe,
    /// Several tags for one thing become one.
    Consolidate(Vec<Proposal>),
    /// Another order.
    Sort {
        /// Which.
        order: Order,
        /// So many tags at the beginning stay, beside activation tags.
        keep: usize,
    },
    /// The activation tags come first, also where they were missing.
    Prefix,
}

/// What was done with a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was changed, or would have been if there were something to change.
    Done,
    /// It is prose, and left alone.
    Prose,
    /// It has no tags that could be changed.
    Nothing,
}

impl Change {
    /// Changes a caption. `counts` are those of the captions that a sort by frequency goes by; prose is changed only if
    /// `with_prose`.
    pub fn act_on(
        &self,
        caption: &mut CaptionFile,
        activation: &Activation,
        counts: &Counts,
        with_prose: bool,
    ) -> Outcome {
        match caption.kind() {
            // That the activation tag is there is asked for in so many words.
            Kind::Prose if !with_prose && !matches!(self, Self::Prefix) => return Outcome::Prose,
            Kind::Empty if !matches!(self, Self::Add { .. } | Self::Prefix) => return Outcome::Nothing,
            _ => {}
        }
        let before = caption.to_bytes();
        match self {
            Self::Add { tags, place } => put::add(caption, tags, *place, activation),
            Self::Remove(patterns) => take::remove(caption, patterns, activation),
            Self::Replace(replacement) => replacement.act_on(caption),
            Self::MoveFirst(tags) => put::move_first(caption, tags),
            Self::Dedupe => dedupe(caption),
            Self::Consolidate(accepted) => consolidate::act_on(caption, accepted, activation),
            Self::Sort { order, keep } => order.act_on(caption, *keep, activation, counts),
            Self::Prefix => {
                caption.add_first(activation);
                return Outcome::Done;
            }
        }
        // A caption in which nothing was to be done stays as it is.
        if caption.to_bytes() != before {
            caption.keep_first(activation);
        }
        Outcome::Done
    }
}
