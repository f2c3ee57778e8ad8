//! `cap.missing`: images without a caption file.

use lorabake_recipe::data::RegPairing;

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tag_counts::some_of;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.missing",
        scope: Scope::Folder,
        what: "images without a caption file where others have one; folders without any",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for (index, folder) in set.dataset.folders.iter().enumerate() {
        if folder.is_reg && set.wanted.data.reg_pairing == RegPairing::SameName {
            continue;
        }
        let missing: Vec<usize> =
            set.of_folder(index).filter(|index| set.images[*index].caption.file.is_none()).collect();
        if missing.is_empty() {
            continue;
        }
        let names: Vec<String> = missing.iter().map(|index| set.name(*index)).collect();
        let words = folder.class_tokens.trim();
        let instead = if words.is_empty() { "the empty prompt".to_owned() } else { format!("“{words}” alone") };
        let is_all = folder.captioned == 0;
        let level = match (is_all, words.is_empty()) {
            (_, true) if !folder.is_reg => Level::Error,
            (true, _) => Level::Hint,
            (false, _) => Level::Warning,
        };
        let what = if is_all {
            "no image has a caption file".to_owned()
        } else {
            format!("no caption file: {}", some_of(&names))
        };
        let remedy = match level {
            Level::Error => {
                "write words behind the number of the folder, as in 10_penny, or a text file beside each image"
            }
            Level::Hint => {
                "nothing for a style or one figure by its name; else a text file with tags beside each image"
            }
            _ => "write them, or run a tagger over those without",
        };
        found.add(Told {
            level,
            subject: folder.name.clone(),
            number: missing.len() as f64,
            threshold: 1.0,
            sentence: format!("{what}; trained with {instead}"),
            remedy: remedy.to_owned(),
            images: missing,
            ..Told::default()
        });
    }
}
