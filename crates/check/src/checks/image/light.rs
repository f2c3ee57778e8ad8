//! `img.light`: pictures that are hardly more than paper.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.light",
        scope: Scope::Image,
        what: "overexposed pictures (cleanvision's measure)",
        thresholds: &[Threshold::new("dark", 0.95, "a hint if 95 % of the pixels are lighter, 0 to 1")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all: Vec<f64> = set.measured().map(|(_, measures)| measures.dark_end).collect();
    let limit = found.limit("dark");
    for (index, measures) in set.measured().filter(|(_, measures)| measures.dark_end > limit) {
        found.image(
            index,
            Told {
                number: measures.dark_end,
                threshold: limit,
                percentile: percentile(&all, measures.dark_end),
                sentence: format!("is nearly white: 95 % of it are above {:.2} of 1", measures.dark_end),
                remedy: "darken it, crop it to the subject, or set it aside; leave it if it is a drawing in thin lines"
                    .to_owned(),
                ..Told::default()
            },
        );
    }
}
