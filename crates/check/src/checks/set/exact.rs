//! `set.exact`: the same picture twice.

use std::collections::BTreeMap;

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tag_counts::some_of;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.exact",
        scope: Scope::Image,
        what: "files whose pixels are the same to the last one",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut by_pixels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, measures) in set.measured() {
        by_pixels.entry(&measures.pixels).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = by_pixels.into_values().filter(|images| images.len() > 1).collect();
    groups.sort();
    for images in groups {
        let others: Vec<String> = images[1..].iter().map(|index| set.name(*index)).collect();
        found.add(Told {
            level: Level::Warning,
            subject: set.name(images[0]),
            number: images.len() as f64,
            threshold: 2.0,
            sentence: format!("is the very same picture as {}", some_of(&others)),
            remedy: "keep one; if it shall count more, give it a folder with more repeats".to_owned(),
            images,
            ..Told::default()
        });
    }
}
