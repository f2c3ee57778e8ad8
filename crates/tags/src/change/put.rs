//! Adding tags, and moving them to the front.

use crate::activation::Activation;
use crate::caption_file::CaptionFile;

/// Where tags are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the front, behind activation tags that are there.
    Front,
    /// At the end.
    Back,
    /// Before the tag of this number, from 1; at the end if there are fewer.
    At(usize),
}

pub(super) fn add(caption: &mut CaptionFile, tags: &[String], place: Place, activation: &Activation) {
    // First, so that places are counted as they will be.
    let is_new: Vec<&String> = tags.iter().filter(|tag| !caption.has(tag)).collect();
    if is_new.is_empty() {
        return;
    }
    caption.keep_first(activation);
    let mut place = match place {
        Place::Front => activation.tags().iter().filter(|tag| caption.has(tag)).count(),
        Place::At(number) => number.saturating_sub(1),
        Place::Back => usize::MAX,
    };
    for tag in is_new {
        if caption.has(tag) {
            continue;
        }
        if place == usize::MAX {
            caption.push(tag);
        } else {
            caption.insert(place, tag);
            place += 1;
        }
    }
}

pub(super) fn move_first(caption: &mut CaptionFile, tags: &[String]) {
    let mut place = 0;
    for tag in tags {
        if let Some(at) = caption.position(tag)
            && at >= place
        {
            caption.move_part(at, place);
            place += 1;
        }
    }
}
