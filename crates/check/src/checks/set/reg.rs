//! `set.reg`: regularization images and what they accompany.

use std::collections::HashSet;

use lorabake_recipe::data::RegPairing;
use lorabake_recipe::guide::question::Category;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tag_counts::some_of;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.reg",
        scope: Scope::Set,
        what: "regularization images that are not as many as the training images, repeats included; without \
               partner; or with a style",
        thresholds: &[Threshold::new("off", 0.1, "a hint if the two numbers differ by a larger share")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let is_used = |index: &usize| !set.images[*index].item.held_out;
    let repeats = |index: usize| u64::from(set.images[index].item.repeats);
    let reg: Vec<usize> = (0..set.images.len()).filter(|index| set.images[*index].item.is_reg).collect();
    if reg.is_empty() {
        return;
    }
    if set.wanted.run.category == Some(Category::Style) {
        found.add(Told {
            level: Level::Error,
            subject: "regularization".to_owned(),
            number: reg.len() as f64,
            sentence: "regularization images take out the very style that is to be learnt".to_owned(),
            remedy: "leave out --reg_data_dir for a style".to_owned(),
            ..Told::default()
        });
    }
    if set.wanted.data.reg_pairing == RegPairing::SameName {
        let stem =
            |index: usize| set.images[index].item.path.with_extension("").file_name().map(|name| name.to_owned());
        let names: HashSet<_> = set.learnt().map(stem).collect();
        let own: HashSet<_> = reg.iter().map(|index| stem(*index)).collect();
        let mut lone: Vec<usize> = reg.iter().copied().filter(|index| !names.contains(&stem(*index))).collect();
        lone.extend(set.learnt().filter(is_used).filter(|index| !own.contains(&stem(*index))));
        if !lone.is_empty() {
            let told: Vec<String> = lone.iter().map(|index| set.name(*index)).collect();
            found.add(Told {
                level: Level::Warning,
                subject: "pairs".to_owned(),
                number: lone.len() as f64,
                threshold: 1.0,
                sentence: format!("without a partner of the same name: {}", some_of(&told)),
                remedy: "paint the missing ones by lorabake reg, or rename them".to_owned(),
                images: lone,
                ..Told::default()
            });
        }
        return;
    }
    let train: u64 = set.learnt().filter(is_used).map(repeats).sum();
    let uses: u64 = reg.iter().copied().map(repeats).sum();
    let ratio = uses as f64 / train.max(1) as f64;
    if (ratio - 1.0).abs() <= found.limit("off") {
        return;
    }
    found.add(Told {
        subject: "regularization".to_owned(),
        number: ratio,
        threshold: found.limit("off"),
        sentence: format!("{uses} regularization images with {train} training images, repeats included"),
        remedy: "make both alike, by images or by the numbers of the folders; else some are repeated or left out"
            .to_owned(),
        ..Told::default()
    });
}
