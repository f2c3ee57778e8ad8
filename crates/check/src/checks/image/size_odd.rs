//! `img.size_odd`: images of quite another size than the rest of the set.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, percentile, quantile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.size_odd",
        scope: Scope::Image,
        what: "images of quite another size than the rest (cleanvision's rule), which often come from elsewhere",
        thresholds: &[Threshold::new("ranges", 3.0, "a hint beyond so many interquartile ranges from the quartiles")],
    },
    run,
};

/// Fewer images than this have no quartiles.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let side = |index: usize| {
        let (width, height) = set.images[index].item.size;
        (f64::from(width) * f64::from(height)).sqrt()
    };
    let all: Vec<f64> = set.learnt().map(side).collect();
    if all.len() < FEWEST {
        return;
    }
    let [low, high] = [0.25, 0.75].map(|share| quantile(&all, share));
    // Images of one size have no range; what differs by a tenth is no outlier.
    let range = (high - low).max(0.1 * low);
    let bounds = [low - found.limit("ranges") * range, high + found.limit("ranges") * range];
    for index in set.learnt() {
        let own = side(index);
        let threshold = if own < bounds[0] { bounds[0] } else { bounds[1] };
        if own >= bounds[0] && own <= bounds[1] {
            continue;
        }
        let (width, height) = set.images[index].item.size;
        found.image(
            index,
            Told {
                number: own,
                threshold,
                percentile: percentile(&all, own),
                sentence: format!(
                    "{width} × {height} is far from the size of the others ({low:.0} to {high:.0} px a side)"
                ),
                remedy: "look where it is from, and whether it belongs here".to_owned(),
                ..Told::default()
            },
        );
    }
}
