//! `cap.len`: captions that are much longer or shorter than the others.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, median, percentile, spread};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.len",
        scope: Scope::Image,
        what: "captions with many more or fewer tags than the others of their folder",
        thresholds: &[
            Threshold::new(
                "spreads",
                3.0,
                "a hint beyond so many spreads (median absolute deviations) from the median",
            ),
            Threshold::new("least", 2.0, "a spread is at least so many tags"),
        ],
    },
    run,
};

/// Fewer captions than this have no spread.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let images: Vec<usize> = set.tagged().filter(|index| set.images[*index].item.folder == folder).collect();
        if images.len() < FEWEST {
            continue;
        }
        let counts: Vec<f64> = images.iter().map(|index| set.images[*index].caption.tags.len() as f64).collect();
        let middle = median(&counts);
        let reach = found.limit("spreads") * spread(&counts).max(found.limit("least"));
        for (index, own) in images.iter().zip(&counts) {
            if (own - middle).abs() <= reach {
                continue;
            }
            let threshold = if *own > middle { middle + reach } else { middle - reach };
            let what = if *own > middle { "many" } else { "few" };
            found.image(
                *index,
                Told {
                    number: *own,
                    threshold,
                    percentile: percentile(&counts, *own),
                    sentence: format!("has {what} tags: {own}, where {middle} are usual"),
                    remedy: "look whether it was tagged like the others".to_owned(),
                    ..Told::default()
                },
            );
        }
    }
}
