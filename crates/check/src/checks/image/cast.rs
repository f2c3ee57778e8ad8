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
        what: "a colour cast: what is lightest in the picture is not white (CIE L*a*b*, median of the lightest hundredth)",
        thresholds: &[
            Threshold::new("distance", 15.0, "a hint if its a*, b* are farther from white"),
            Threshold::new("most", 45.0, "but not farther than this, which is a coloured thing and no light"),
            Threshold::new("spreads", 3.0, "and so many spreads from the set's median"),
            Threshold::new("lightness", 40.0, "if it is at least so light, of 100"),
        ],
    },
    run,
};

/// Fewer images than this have no spread.
const FEWEST: usize = 10;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let least = found.limit("lightness");
    let judged = || set.measured().filter(|(_, measures)| measures.cast.lightness >= least);
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
        let is_light = strength > found.limit("distance") && strength <= found.limit("most");
        if !is_light || (a.len() >= FEWEST && apart <= found.limit("spreads")) {
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
                sentence: format!("has a {color} cast: what is lightest in it is {strength:.0} away from white"),
                remedy: "correct the colours, tag it (sepia, sunset), or set it aside".to_owned(),
                ..Told::default()
            },
        );
    }
}
