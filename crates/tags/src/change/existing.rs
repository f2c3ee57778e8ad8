//! How tags of a tagger come into captions that may be there already. The guide calls the choice a gun's safety: unless a user
//! chooses otherwise in this very run, nothing that is there is touched.

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};
use crate::text::folded;

/// What becomes of captions that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Caption files stay as they are, empty ones too.
    #[default]
    Keep,
    /// Those that hold nothing are filled.
    OnlyEmpty,
    /// Tags that are missing are added at the end; no other changes. Sentences stay as they are.
    Append,
    /// The first line is replaced.
    Replace,
}

/// Writes tags into a caption as `existing` says, with the activation tags first; whether anything is changed. Tags that stand
/// twice are written once, and `between` stands between them in captions that are new.
pub fn write_tags(
    caption: &mut CaptionFile,
    tags: &[String],
    existing: Existing,
    activation: &Activation,
    between: &str,
) -> bool {
    let before = caption.to_bytes();
    let is_blank = caption.kind() == Kind::Empty && caption.further_lines().all(|line| line.trim().is_empty());
    let is_free = match existing {
        Existing::Keep => !caption.exists(),
        Existing::OnlyEmpty | Existing::Append => is_blank,
        Existing::Replace => true,
    };
    if is_free {
        caption.set_line(&once(tags).join(between));
        // A caption whose words are all a tagger's has the activation tag like a new one.
        caption.add_first(activation);
    } else if existing == Existing::Append && caption.kind() != Kind::Prose {
        for tag in tags {
            if !caption.has(tag) {
                caption.push(tag);
            }
        }
        caption.keep_first(activation);
    }
    caption.to_bytes() != before
}

/// Each tag where it stands first.
fn once(tags: &[String]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    for tag in tags {
        if seen.insert(folded(tag)) {
            found.push(tag.as_str());
        }
    }
    found
}
