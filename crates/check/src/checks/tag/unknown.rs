//! `tag.unknown`: tags that no list knows and that are a letter away from one.

use std::collections::{BTreeMap, HashMap};

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.unknown",
        scope: Scope::Tag,
        what: "tags that no list of --tag_list knows and that differ by a letter from a common one",
        thresholds: &[Threshold::new("posts", 100.0, "a tag is common from so many posts on")],
    },
    run,
};

/// Of shorter words every other one is a neighbour.
const SHORTEST: usize = 4;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    if set.wanted.tag_lists.is_empty() {
        return;
    }
    let mut unknown: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in set.tagged() {
        for key in &set.images[index].caption.keys {
            let is_activation = set.activation(index).is_some_and(|own| own.holds(key));
            let is_known = set.wanted.tag_lists.iter().any(|list| list.knows(key));
            if !is_activation && !is_known && key.chars().count() >= SHORTEST {
                unknown.entry(key).or_default().push(index);
            }
        }
    }
    // By length, since one letter more or less is all that may differ.
    let mut by_length: HashMap<usize, Vec<(&str, u64)>> = HashMap::new();
    for list in set.wanted.tag_lists {
        for (tag, posts) in &list.posts {
            if *posts as f64 >= found.limit("posts") {
                by_length.entry(tag.chars().count()).or_default().push((tag, *posts));
            }
        }
    }
    for (key, images) in unknown {
        let length = key.chars().count();
        let near = (length - 1..=length + 1).filter_map(|length| by_length.get(&length)).flatten();
        let meant = near.filter(|(tag, _)| strsim::damerau_levenshtein(tag, key) == 1).max_by_key(|(_, posts)| *posts);
        let Some((tag, posts)) = meant else { continue };
        found.add(Told {
            subject: key.to_owned(),
            number: 1.0,
            threshold: 1.0,
            sentence: format!("is in no list; did you mean {tag} ({posts} posts)?"),
            remedy: format!("write {tag} if it is that"),
            images,
            ..Told::default()
        });
    }
}
