//! `tag.obvious`: captions that leave out what everybody sees.

use super::untold::{self, Untold};
use crate::about::{About, Threshold};
use crate::caption::Caption;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::WORN;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.obvious",
        scope: Scope::Folder,
        what: "folders of figures of which most captions tell neither hair nor clothes",
        thresholds: &[Threshold::new("share", 0.5, "a hint if a larger share does not")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let limit = found.limit("share");
    for Untold { folder, images, share } in untold::folders(set, limit, tells) {
        found.add(Told {
            subject: folder,
            number: share,
            threshold: limit,
            sentence: format!("{:.0} % of the captions tell neither hair nor clothes", 100.0 * share),
            remedy: "the guide tags what is obvious, to be able to change it; another school leaves fixed traits \
                     out, so that they go into the activation tag: both work, a mixture does not"
                .to_owned(),
            images,
            ..Told::default()
        });
    }
}

/// Whether a caption tells of hair or clothes.
fn tells(caption: &Caption) -> bool {
    caption.keys.iter().any(|key| {
        let last = key.rsplit(' ').next().unwrap_or(key);
        (last == "hair" && key != "hair") || WORN.contains(&last)
    })
}
