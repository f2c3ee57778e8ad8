//! How tags of a tagger come into captions that may be there already. The guide calls the choice a gun's safety: unless a user
//! chooses otherwise in this very run, nothing that is there is touched.

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};

/// What becomes of captions that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Caption files stay as they are, empty ones too.
    #[default]
    Keep,
    /// Those that hold nothing are filled.
    OnlyEmpty,
    /// Tags that are missing are added at the end; no other changes.
    Append,
    /// The first line is replaced.
    Replace,
}

/// Writes tags into a caption as `existing` says, with the activation tags first; whether anything is changed. Tags that stand
/// twice are written once.
pub fn write_tags(caption: &mut CaptionFile, tags: &[String], existing: Existing, activation: &Activation) -> bool {
    let before = caption.to_bytes();
    let is_free = !caption.exists() || existing == Existing::OnlyEmpty && caption.kind() == Kind::Empty;
    match existing {
        Existing::Keep | Existing::OnlyEmpty if !is_free => return false,
        Existing::Replace => caption.set_line(""),
        _ => {}
    }
    for tag in tags {
        if !caption.has(tag) {
            caption.push(tag);
        }
    }
    // A caption whose words are all a tagger's has the activation tag like a new one.
    if existing == Existing::Replace || is_free {
        caption.add_first(activation)
    } else {
        caption.keep_first(activation)
    }
    caption.to_bytes() != before
}
