//! `act.typo`: the activation tag in another spelling.

use crate::about::{About, Threshold};
use crate::finding::{Level, Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "act.typo",
        scope: Scope::Image,
        what: "a tag among the first three that is nearly the activation tag, in a caption that lacks it",
        thresholds: &[Threshold::new("letters", 2.0, "it differs by at most so many letters")],
    },
    run,
};

/// Tags at the start that are looked at.
const FIRST: usize = 3;
/// Of shorter words every other one is a neighbour.
const SHORTEST: usize = 4;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.learnt() {
        let caption = &set.images[index].caption;
        let Some(activation) = set.activation(index) else { continue };
        for key in &activation.keys {
            if caption.has(key) || key.chars().count() < SHORTEST {
                continue;
            }
            let most = found.limit("letters").min((key.chars().count() / 3) as f64);
            for own in caption.keys.iter().take(FIRST) {
                let letters = strsim::damerau_levenshtein(own, key);
                if letters == 0 || letters as f64 > most {
                    continue;
                }
                found.image(
                    index,
                    Told {
                        level: Level::Error,
                        number: letters as f64,
                        threshold: most,
                        sentence: format!("says “{own}” where “{key}” is meant"),
                        remedy: format!("write {key}"),
                        fix: Some(Repair { name: "activation_typo", tag: Some(own.clone()), write: Some(key.clone()) }),
                        ..Told::default()
                    },
                );
            }
        }
    }
}
