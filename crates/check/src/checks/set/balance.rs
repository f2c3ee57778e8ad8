//! `set.balance`: subjects of which one is used much more than another and takes over.

use std::collections::BTreeMap;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::SCENES;
use crate::tag_counts::TagCounts;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.balance",
        scope: Scope::Set,
        what: "subjects of which one has many more uses (images × repeats) than another",
        thresholds: &[
            Threshold::new("warning", 1.5, "a warning if the most used has more times the uses of the least"),
            Threshold::new("error", 2.0, "an error from here on"),
        ],
    },
    run,
};

#[derive(Default)]
struct Subject {
    folders: Vec<usize>,
    images: u64,
    uses: u64,
}

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        // Backgrounds have a check of their own.
        if !counts.images.is_empty() && 2 * counts.with_any(set, SCENES).len() > counts.images.len() {
            continue;
        }
        let name = match &set.activations[folder] {
            Some(activation) => activation.keys.join(", "),
            None if set.dataset.folders[folder].class_tokens.is_empty() => set.dataset.folders[folder].name.clone(),
            None => set.dataset.folders[folder].class_tokens.clone(),
        };
        let subject = subjects.entry(name).or_default();
        subject.folders.push(folder);
        for index in set.of_folder(folder).filter(|index| !set.images[*index].item.held_out) {
            subject.images += 1;
            subject.uses += u64::from(set.images[index].item.repeats);
        }
    }
    let most = subjects.iter().max_by_key(|(_, subject)| subject.uses);
    let least = subjects.iter().min_by_key(|(_, subject)| subject.uses);
    let (Some((most_name, most)), Some((least_name, least))) = (most, least) else { return };
    let ratio = most.uses as f64 / least.uses.max(1) as f64;
    let (level, threshold) = match ratio {
        _ if ratio > found.limit("error") => (Level::Error, found.limit("error")),
        _ if ratio > found.limit("warning") => (Level::Warning, found.limit("warning")),
        _ => return,
    };
    let mut proposals = Vec::new();
    for subject in subjects.values() {
        // kohya's rule: the repeats that bring a folder nearest to the largest number of images × repeats.
        let repeats = (most.uses as f64 / subject.images.max(1) as f64).round().max(1.0);
        for folder in &subject.folders {
            let folder = &set.dataset.folders[*folder];
            if f64::from(folder.repeats) != repeats {
                proposals.push(format!("{} → {repeats}_{}", folder.name, folder.class_tokens));
            }
        }
    }
    found.add(Told {
        level,
        subject: format!("{most_name} and {least_name}"),
        number: ratio,
        threshold,
        sentence: format!("used {} and {} times per epoch: the first takes over", most.uses, least.uses),
        remedy: format!("balance by repeats: {}", proposals.join(", ")),
        ..Told::default()
    });
}
