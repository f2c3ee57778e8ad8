//! `cap.orphan`: caption files that belong to no image, or are not looked at.

use lorabake_data::Reason;

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.orphan",
        scope: Scope::Image,
        what: "captions without an image of their name, of another suffix, or beside a caption that is used instead",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for left_out in set.left_out() {
        let (level, remedy) = match &left_out.reason {
            Reason::CaptionWithoutImage => (Level::Warning, "rename it as its image is called, or delete it"),
            Reason::OtherCaptionExtension(_) => (Level::Warning, "rename it, or give --caption_extension"),
            Reason::OtherCaptionUsed => (Level::Hint, "delete the one that is not meant"),
            _ => continue,
        };
        found.add(Told {
            level,
            subject: left_out.path.display().to_string(),
            sentence: left_out.reason.to_string(),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
}
