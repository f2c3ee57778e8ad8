//! `tag.pose`: captions that tell of no pose, which make pictures samey.

use super::untold::{self, Untold};
use crate::about::{About, Threshold};
use crate::caption::Caption;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::{FRAMING, POSES};

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.pose",
        scope: Scope::Folder,
        what: "folders of figures of which many captions tell neither pose nor view",
        thresholds: &[Threshold::new("share", 0.3, "a warning if a larger share does not")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let limit = found.limit("share");
    for Untold { folder, images, share } in untold::folders(set, limit, tells) {
        found.add(Told {
            level: Level::Warning,
            subject: folder,
            number: share,
            threshold: limit,
            sentence: format!("{:.0} % of the captions tell no pose and no view", 100.0 * share),
            remedy: "tag poses and views (sitting, from behind, portrait), or pictures come out samey".to_owned(),
            images,
            ..Told::default()
        });
    }
}

/// Whether a caption tells of a pose or a view.
fn tells(caption: &Caption) -> bool {
    let first_word = |key: &String| POSES.contains(&key.split(' ').next().unwrap_or(key));
    caption.has_any(POSES) || caption.has_any(FRAMING) || caption.keys.iter().any(first_word)
}
