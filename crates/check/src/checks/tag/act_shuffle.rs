//! `act.shuffle`: shuffling that moves the activation tag.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "act.shuffle",
        scope: Scope::Folder,
        what: "tags that are shuffled or dropped with a --keep_tokens below the number of activation tags",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let Some(activation) = &set.activations[folder] else { continue };
        let Some(first) = set.of_folder(folder).next() else { continue };
        let rules = &set.settings(first).captions;
        let tags = activation.keys.len();
        let is_kept = rules.keep_tokens >= tags || rules.keep_separator.is_some();
        if !rules.edits_tags() || is_kept || set.images[first].caption.file.is_none() {
            continue;
        }
        found.add(Told {
            level: Level::Error,
            subject: set.dataset.folders[folder].name.clone(),
            number: rules.keep_tokens as f64,
            threshold: tags as f64,
            sentence: format!(
                "“{}” is shuffled among the tags: --keep_tokens is {}",
                activation.words, rules.keep_tokens
            ),
            remedy: format!("give --keep_tokens={tags}"),
            ..Told::default()
        });
    }
}
