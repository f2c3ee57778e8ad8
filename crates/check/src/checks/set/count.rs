//! `set.count`: whether there are images enough for what is to be learnt.

use lorabake_recipe::count;
use lorabake_recipe::guide::question::Category;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.count",
        scope: Scope::Folder,
        what: "folders with fewer images than the guide wants for what is to be learnt; needs --category",
        thresholds: &[
            Threshold::new("character", 35.0, "a hint if a character has fewer: 35 to 100 are good"),
            Threshold::new("poor", 15.0, "a warning if it has fewer: 15 to 30 are poor, 10 to 25 those of a rare one"),
            Threshold::new("few", 10.0, "an error if anything has fewer"),
            Threshold::new("style", 100.0, "a warning if a style has fewer"),
            Threshold::new("concept", 50.0, "a warning if a concept or a vehicle has fewer"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(category) = set.wanted.run.category else { return };
    let (hint, warning) = match category {
        Category::Character(_) => (found.limit("character"), found.limit("poor")),
        Category::Style => (0.0, found.limit("style")),
        Category::Concept | Category::Vehicle => (0.0, found.limit("concept")),
    };
    let few = found.limit("few");
    for folder in set.learnt_folders() {
        let images: Vec<usize> = set.of_folder(folder).filter(|index| !set.images[*index].item.held_out).collect();
        let number = images.len() as f64;
        let (level, threshold) = match number {
            _ if number < few => (Level::Error, few),
            _ if number < warning => (Level::Warning, warning),
            _ if number < hint => (Level::Hint, hint),
            _ => continue,
        };
        let remedy = match level {
            Level::Error => "make more with a first, quick LoRA: lorabake gachamax",
            _ => "find more, or take what is in `lorabake advise --bad_images`: regularization images and a low rank",
        };
        found.add(Told {
            level,
            subject: set.dataset.folders[folder].name.clone(),
            number,
            threshold,
            sentence: format!("{} are few for {category}", count(images.len(), "image")),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
}
