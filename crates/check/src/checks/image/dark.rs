//! `img.dark`: pictures in which hardly anything can be seen.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.dark",
        scope: Scope::Image,
        what: "very dark pictures (cleanvision's measure)",
        thresholds: &[Threshold::new("bright", 0.32, "a hint if 99 % of the pixels are darker, 0 to 1")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all: Vec<f64> = set.measured().map(|(_, measures)| measures.light_end).collect();
    let limit = found.limit("bright");
    for (index, measures) in set.measured().filter(|(_, measures)| measures.light_end < limit) {
        found.image(
            index,
            Told {
                number: measures.light_end,
                threshold: limit,
                percentile: percentile(&all, measures.light_end),
                sentence: format!("is very dark: 99 % of it are below {:.2} of 1", measures.light_end),
                remedy: "tag it (dark, night), brighten it, or set it aside".to_owned(),
                ..Told::default()
            },
        );
    }
}
