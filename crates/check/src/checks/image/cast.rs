//! `img.cast`: a colour over the whole picture, which makes hair and skin the wrong colour.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told, median, percentile, spread};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.cast",
        scope: Scope::Image,
        what: "a colour cast: what should be grey is not (CIE L*a*b*, mean of near-grey pixels)",
        thresholds: &[
            Threshold::new("distance", 12.0, "a hint if their mean is farther from grey"),
            Threshold::new("spreads", 3.0, "and so many spreads from the set's median"),
            Threshold::new("share", 0.05, "if at least this share of pixels is near-grey"),
        ],
    },
    run,
};

/// Fewer images than this have no spread.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let share = found.limit("share");
    let judged = || set.measured().filter(|(_, measures)| measures.cast.share >= share);
    let [a, b]: [Vec<f64>; 2] = [
        judged().map(|(_, measures)| measures.cast.a).collect(),
        judged().map(|(_, measures)| measures.cast.b).collect(),
    ];
    let strengths: Vec<f64> = judged().map(|(_, measures)| measures.cast.strength()).collect();
    // What one spread is at least, in units of L*a*b*: less cannot be seen.
    const LEAST: f64 = 1.0;
    let [middle_a, middle_b] = [&a, &b].map(|values| median(values));
    let [spread_a, spread_b] = [&a, &b].map(|values| spread(values).max(LEAST));
    for (index, measures) in judged() {
        let cast = measures.cast;
        let strength = cast.strength();
        let apart = ((cast.a - middle_a) / spread_a).hypot((cast.b - middle_b) / spread_b);
        if strength <= found.limit("distance") || (a.len() >= FEWEST && apart <= found.limit("spreads")) {
            continue;
        }
        let color = match (cast.a.abs() > cast.b.abs(), cast.a > 0.0, cast.b > 0.0) {
            (true, true, _) => "red",
            (true, false, _) => "green",
            (false, _, true) => "yellow",
            (false, _, false) => "blue",
        };
        found.image(
            index,
            Told {
                number: strength,
                threshold: found.limit("distance"),
                percentile: percentile(&strengths, strength),
                sentence: format!("has a {color} cast: what should be grey is {strength:.1} away from it"),
                remedy: "correct the colours, tag it (sepia, sunset), or set it aside".to_owned(),
                ..Told::default()
            },
        );
    }
}
