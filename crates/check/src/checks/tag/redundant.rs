//! `tag.redundant`: several tags for one thing, as interrogators give them: `boots, red footwear, red boots`.

use std::collections::{BTreeMap, BTreeSet};

use crate::about::{About, Threshold};
use crate::caption::is_within;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::groups::{CHAINS, CLASSES};
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.redundant",
        scope: Scope::Tag,
        what: "several tags for one thing in a caption (words within words, classes such as footwear, chains such \
               as long and very long hair), and tags that always go together",
        thresholds: &[Threshold::new("together", 0.95, "tags go together if they share so much of their images")],
    },
    run,
};

/// Tags of fewer images than this go together by chance.
const FEWEST: usize = 5;

/// Two tags for one thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Double {
    /// What says less.
    general: String,
    /// What says more, or both in one.
    specific: String,
}

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut doubles: BTreeMap<Double, Vec<usize>> = BTreeMap::new();
    for index in set.tagged() {
        let caption = &set.images[index].caption;
        let mut own = BTreeSet::new();
        for general in &caption.keys {
            if set.activation(index).is_some_and(|own| own.holds(general)) {
                continue;
            }
            for specific in &caption.keys {
                if is_within(general, specific) || is_earlier_in_chain(general, specific) {
                    own.insert(Double { general: general.clone(), specific: specific.clone() });
                }
                own.extend(class_and_thing(general, specific));
            }
        }
        for double in own {
            doubles.entry(double).or_default().push(index);
        }
    }
    for (double, images) in doubles {
        found.add(Told {
            subject: format!("{}, {}", double.general, double.specific),
            number: images.len() as f64,
            threshold: 1.0,
            sentence: format!("both are in {} captions, and say one thing", images.len()),
            remedy: format!("keep the more specific one: {}", kept(&double)),
            images,
            ..Told::default()
        });
    }
    for folder in set.learnt_folders() {
        together(set, found, folder);
    }
}

fn is_earlier_in_chain(general: &str, specific: &str) -> bool {
    CHAINS.iter().any(|chain| {
        let place = |key: &str| chain.iter().position(|own| *own == key);
        matches!((place(general), place(specific)), (Some(one), Some(other)) if one < other)
    })
}

/// `red footwear` beside `boots`.
fn class_and_thing(general: &str, specific: &str) -> Option<Double> {
    for class in CLASSES {
        let Some(color) = general.strip_suffix(class.class) else { continue };
        let is_one_word = color.trim_end().split(' ').count() == 1;
        if is_one_word && class.things.contains(&specific) {
            return Some(Double { general: general.to_owned(), specific: specific.to_owned() });
        }
    }
    None
}

/// The tag that says all that both say.
fn kept(double: &Double) -> String {
    for class in CLASSES {
        if let Some(color) = double.general.strip_suffix(class.class)
            && class.things.contains(&double.specific.as_str())
        {
            return format!("{}{}", color, double.specific).trim().to_owned();
        }
    }
    double.specific.clone()
}

/// Tags of a folder that are in the same images.
fn together(set: &Set<'_>, found: &mut Found<'_>, folder: usize) {
    let counts = TagCounts::of(set, folder);
    let all = counts.images.len();
    let limit = found.limit("together");
    // What all images have goes together with everything.
    let candidates: Vec<(&String, &Vec<usize>)> = counts
        .tags
        .iter()
        .filter(|(_, images)| images.len() >= FEWEST.max(all / 50) && 10 * images.len() < 9 * all)
        .collect();
    for (place, (one, own)) in candidates.iter().enumerate() {
        for (other, theirs) in &candidates[..place] {
            let shared = own.iter().filter(|image| theirs.binary_search(image).is_ok()).count();
            let jaccard = shared as f64 / (own.len() + theirs.len() - shared) as f64;
            if jaccard < limit || is_within(one, other) || is_within(other, one) {
                continue;
            }
            found.add(Told {
                subject: format!("{other}, {one}"),
                number: jaccard,
                threshold: limit,
                sentence: format!("are always together, in {shared} images, so that no prompt can tell them apart"),
                remedy: "drop one, or add images with one alone".to_owned(),
                images: own.to_vec(),
                ..Told::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_example_becomes_one_tag() {
        let double = class_and_thing("red footwear", "boots").unwrap();
        assert_eq!(kept(&double), "red boots");
        assert_eq!(class_and_thing("red footwear", "hat"), None);
        assert_eq!(class_and_thing("very red footwear", "boots"), None);
        assert_eq!(kept(&class_and_thing("black legwear", "socks").unwrap()), "black socks");
        let plain = class_and_thing("footwear", "boots").unwrap();
        assert_eq!(kept(&plain), "boots");
        assert!(
            is_earlier_in_chain("long hair", "very long hair") && !is_earlier_in_chain("very long hair", "long hair")
        );
    }
}
