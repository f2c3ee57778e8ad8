//! `img.alpha`: transparent places, behind which there is a colour that nobody has seen.

use lorabake_recipe::data::Mask;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.alpha",
        scope: Scope::Image,
        what: "transparent places: as in sd-scripts alpha is dropped, and the colours stored under it are trained",
        thresholds: &[Threshold::new("share", 0.001, "a warning if more of the pixels have an alpha below 250")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let limit = found.limit("share");
    for (index, measures) in set.measured() {
        if measures.transparent <= limit || set.settings(index).mask == Some(Mask::Alpha) {
            continue;
        }
        let percent = 100.0 * measures.transparent;
        // What looks white is white.
        const WHITE: f64 = 4.0;
        let is_white = measures.hidden_color.is_some_and(|distance| distance < WHITE);
        let under = match measures.hidden_color {
            Some(_) if is_white => "; what is stored there is white",
            Some(_) => "; what is stored there is not white, and is trained",
            None => "",
        };
        found.image(
            index,
            Told {
                level: if is_white { Level::Hint } else { Level::Warning },
                number: measures.transparent,
                threshold: limit,
                sentence: format!("{percent:.1} % of it is transparent{under}"),
                remedy: "put it on a colour of your choice (lorabake images flatten), or give --alpha_mask".to_owned(),
                ..Told::default()
            },
        );
    }
}
