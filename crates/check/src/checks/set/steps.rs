//! `set.steps`: how often images are seen in the whole run.

use lorabake_recipe::guide::question::Category;

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.steps",
        scope: Scope::Set,
        what: "runs of very few or very many steps × images per step, where a recipe says so",
        thresholds: &[
            Threshold::new("least", 800.0, "a hint if there are fewer: about 1000 are usual, 1500 from scratch"),
            Threshold::new("most", 3000.0, "a hint if a character has more"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(seen) = set.wanted.run.images_seen else { return };
    let number = seen as f64;
    let is_character = matches!(set.wanted.run.category, None | Some(Category::Character(_)));
    let (threshold, word, remedy) = if number < found.limit("least") {
        (found.limit("least"), "few", "give more epochs")
    } else if number > found.limit("most") && is_character {
        (
            found.limit("most"),
            "many for a character",
            "give fewer epochs, or keep the better of the snapshots by lorabake judge",
        )
    } else {
        return;
    };
    found.add(Told {
        subject: "the run".to_owned(),
        number,
        threshold,
        sentence: format!("{seen} images are seen in all, which are {word}"),
        remedy: remedy.to_owned(),
        ..Told::default()
    });
}
