//! Taking tags out.

use crate::activation::Activation;
use crate::caption_file::CaptionFile;
use crate::filter::Pattern;
use crate::text::folded;

/// Takes out the tags that fit one of the patterns, but never an activation tag.
pub(super) fn remove(caption: &mut CaptionFile, patterns: &[Pattern], activation: &Activation) {
    for index in (0..caption.parts().len()).rev() {
        let tag = folded(&caption.parts()[index]);
        if !tag.is_empty() && !activation.contains(&tag) && patterns.iter().any(|pattern| pattern.is(&tag)) {
            caption.remove(index);
        }
    }
}
