//! `cap.same`: captions that are the same, or nearly, on different pictures (a check of caption-audit's too).

use std::collections::{BTreeMap, BTreeSet};

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tag_counts::some_of;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.same",
        scope: Scope::Image,
        what: "the same caption, or nearly the same, on different pictures",
        thresholds: &[
            Threshold::new("jaccard", 0.9, "a hint if two captions share so much of their words"),
            Threshold::new("most", 2000.0, "nearly alike ones are looked for among at most so many different captions"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut by_text: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for index in set.learnt() {
        let caption = &set.images[index].caption;
        // Bare activation tags are meant so.
        let is_bare = set.activation(index).is_some_and(|own| caption.keys.iter().all(|key| own.holds(key)));
        if caption.file.is_some() && !caption.tags.is_empty() && !is_bare {
            by_text.entry(caption.text.to_lowercase()).or_default().push(index);
        }
    }
    for images in by_text.values().filter(|images| images.len() > 1) {
        let others: Vec<String> = images[1..].iter().map(|index| set.name(*index)).collect();
        found.add(Told {
            subject: set.name(images[0]),
            number: 1.0,
            threshold: 1.0,
            sentence: format!("has the same caption as {}", some_of(&others)),
            remedy: "add what differs".to_owned(),
            images: images.clone(),
            ..Told::default()
        });
    }
    let limit = found.limit("jaccard");
    let texts: Vec<(usize, BTreeSet<String>)> =
        by_text.iter().map(|(text, images)| (images[0], words(text))).take(found.limit("most") as usize).collect();
    for (place, (one, own)) in texts.iter().enumerate() {
        for (other, theirs) in &texts[..place] {
            let shared = own.intersection(theirs).count() as f64;
            let jaccard = shared / (own.len() as f64 + theirs.len() as f64 - shared).max(1.0);
            if jaccard < limit {
                continue;
            }
            found.add(Told {
                subject: set.name(*other.min(one)),
                number: jaccard,
                threshold: limit,
                sentence: format!(
                    "has nearly the caption of {} ({:.0} % of the words)",
                    set.name(*one.max(other)),
                    100.0 * jaccard
                ),
                remedy: "add what differs".to_owned(),
                images: vec![*one.min(other), *one.max(other)],
                ..Told::default()
            });
        }
    }
}

/// The words of a caption.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
