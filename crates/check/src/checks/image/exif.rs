//! `img.exif`: images that stand upright by their metadata only.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.exif",
        scope: Scope::Image,
        what: "images that are turned upright by what EXIF says, which lorabake heeds and sd-scripts does not",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for (index, measures) in set.measured() {
        let orientation = measures.content.orientation;
        if orientation == 1 {
            continue;
        }
        found.image(
            index,
            Told {
                number: f64::from(orientation),
                threshold: 1.0,
                sentence: format!(
                    "is turned by its metadata (EXIF orientation {orientation}); other trainers see it lying"
                ),
                remedy: "nothing for lorabake; save it upright if you share the set".to_owned(),
                ..Told::default()
            },
        );
    }
}
