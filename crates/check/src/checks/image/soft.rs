//! `img.soft`: pictures without fine detail, which teach that there is none.
//!
//! Two questions. Does the picture stay the same through half its size (the test of `measure::detail`)? Is its
//! Laplacian far below that of the others? The second is a rank only: deepghs/imgutils says of the usual threshold of
//! photographs that it seems not to work well on anime.

use super::small::enlarged;
use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, median, percentile, spread};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.soft",
        scope: Scope::Image,
        what: "blurred pictures, and small ones that somebody enlarged",
        thresholds: &[
            Threshold::new("half", 40.0, "a warning if the picture through half its size is more like itself, in dB"),
            Threshold::new("quarter", 44.0, "an error if it is so through a quarter"),
            Threshold::new(
                "spreads",
                5.0,
                "a hint if the logarithm of its Laplacian is so many spreads below the set's",
            ),
        ],
    },
    run,
};

/// Fewer images than this have no spread.
const FEWEST: usize = 10;
/// What is enlarged more has its blur from there, and its finding too.
const ENLARGED: f64 = 1.1;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let halves: Vec<f64> = set.measured().filter_map(|(_, measures)| measures.half).collect();
    let details: Vec<f64> = set.measured().map(|(_, measures)| measures.laplacian.max(0.01).ln()).collect();
    let least = median(&details) - found.limit("spreads") * spread(&details).max(0.25);
    for (index, measures) in set.measured() {
        if enlarged(set, index).is_some_and(|times| times > ENLARGED) {
            continue;
        }
        let Some(half) = measures.half else { continue };
        let quarter = measures.quarter.unwrap_or(0.0);
        let half_limit = found.limit("half");
        let quarter_limit = found.limit("quarter");
        let remedy = "replace it by a sharp original, set it aside, or train it at a smaller --resolution".to_owned();
        let told = if quarter > quarter_limit {
            Told {
                level: Level::Error,
                number: quarter,
                threshold: quarter_limit,
                sentence: format!("has no detail above a quarter of its size ({quarter:.1} dB)"),
                ..Told::default()
            }
        } else if half > half_limit {
            Told {
                level: Level::Warning,
                number: half,
                threshold: half_limit,
                sentence: format!("has no detail above half its size ({half:.1} dB)"),
                ..Told::default()
            }
        } else if details.len() >= FEWEST && measures.laplacian.max(0.01).ln() < least {
            Told {
                number: measures.laplacian,
                threshold: least.exp(),
                sentence: format!("is much softer than the others (Laplacian {:.0})", measures.laplacian),
                ..Told::default()
            }
        } else {
            continue;
        };
        found.image(index, Told { remedy, percentile: percentile(&halves, half), ..told });
    }
}
