//! `set.repeats`: repeats that balance nothing.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.repeats",
        scope: Scope::Folder,
        what: "repeats of a single folder, which balance nothing and make epochs coarse",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let folders: Vec<usize> = set.learnt_folders().collect();
    let [folder] = folders[..] else { return };
    let folder = &set.dataset.folders[folder];
    if folder.repeats <= 1 {
        return;
    }
    found.add(Told {
        subject: folder.name.clone(),
        number: f64::from(folder.repeats),
        threshold: 1.0,
        sentence: format!(
            "{} repeats of the only folder: an epoch, and so a snapshot, is as much as {0} could be",
            folder.repeats
        ),
        remedy: format!(
            "call it 1_{} and give {} times the epochs: the same steps, with a choice",
            folder.class_tokens, folder.repeats
        ),
        ..Told::default()
    });
}
