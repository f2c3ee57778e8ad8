//! `tag.family`: tags of one site for a checkpoint that was trained with those of another.

use std::collections::BTreeSet;

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.family",
        scope: Scope::Set,
        what: "whose tags these are, where several lists are given by --tag_list: those of the checkpoint's site \
               should fit best",
        thresholds: &[Threshold::new("ahead", 0.1, "a hint if another list than the first knows this share more")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let [first, others @ ..] = set.wanted.tag_lists else { return };
    let keys: BTreeSet<&String> = set.tagged().flat_map(|index| &set.images[index].caption.keys).collect();
    let share = |list: &crate::tag_list::TagList| {
        keys.iter().filter(|key| list.knows(key)).count() as f64 / keys.len().max(1) as f64
    };
    let own = share(first);
    for list in others {
        let theirs = share(list);
        if theirs - own <= found.limit("ahead") {
            continue;
        }
        found.add(Told {
            subject: list.name.clone(),
            number: theirs,
            threshold: own + found.limit("ahead"),
            sentence: format!(
                "it knows {:.0} % of the tags, and {} knows {:.0} %",
                100.0 * theirs,
                first.name,
                100.0 * own
            ),
            remedy: "train from a checkpoint of these tags, or tag anew: others point to the wrong places".to_owned(),
            ..Told::default()
        });
    }
}
