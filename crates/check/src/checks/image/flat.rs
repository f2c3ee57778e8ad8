//! `img.flat`: pictures in which there is next to nothing.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.flat",
        scope: Scope::Image,
        what: "pictures with next to nothing in them (cleanvision's measure)",
        thresholds: &[
            Threshold::new(
                "hint",
                1.5,
                "a hint if the entropy of luma is less, in bits; cleanvision takes 3, which flat drawings have too",
            ),
            Threshold::new("warning", 0.3, "a warning if it is less than this"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all: Vec<f64> = set.measured().map(|(_, measures)| measures.entropy).collect();
    for (index, measures) in set.measured() {
        let entropy = measures.entropy;
        let (level, threshold) = match entropy {
            _ if entropy < found.limit("warning") => (Level::Warning, found.limit("warning")),
            _ if entropy < found.limit("hint") => (Level::Hint, found.limit("hint")),
            _ => continue,
        };
        found.image(
            index,
            Told {
                level,
                number: entropy,
                threshold,
                percentile: percentile(&all, entropy),
                sentence: format!("has little in it: {entropy:.1} bits of luma"),
                remedy: "drop it if nothing is to be seen; leave it if it is a flat drawing".to_owned(),
                ..Told::default()
            },
        );
    }
}
