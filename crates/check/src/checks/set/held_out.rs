//! `set.heldout`: whether enough is held out for a verdict.

use lorabake_recipe::count;

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.heldout",
        scope: Scope::Set,
        what: "large sets of which nothing, or next to nothing, is held out, so that no loss can say when to stop",
        thresholds: &[
            Threshold::new("images", 30.0, "a hint from so many images on, if none is held out"),
            Threshold::new("least", 3.0, "a hint if some are, but fewer than this"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all = set.learnt().count();
    let out = set.learnt().filter(|index| set.images[*index].item.held_out).count();
    let is_few = out > 0 && (out as f64) < found.limit("least");
    if !(is_few || out == 0 && all as f64 >= found.limit("images")) {
        return;
    }
    found.add(Told {
        subject: "validation".to_owned(),
        number: out as f64,
        threshold: found.limit("least"),
        sentence: format!("{} of {all} held out", count(out, "image")),
        remedy: "give --validation_split=0.1, and lorabake judge tells from it when a run is overcooked".to_owned(),
        ..Told::default()
    });
}
