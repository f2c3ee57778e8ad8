//! `img.people`: other figures in a folder of one, by what tags say and detectors see.
//!
//! Figures at the upper border are none at the border: that is where the head of a whole figure is.

use lorabake_tags::images::Seen;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::{Image, Set};
use crate::sight::figures;
use crate::tables::words::SEVERAL;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.people",
        scope: Scope::Image,
        what: "several figures, or parts of others at the border, in a folder of one figure, by what tags say, and by --detector",
        thresholds: &[
            Threshold::new("solo", 0.6, "a folder is of one figure if this share has a tag such as solo or 1girl"),
            Threshold::new(
                "border",
                0.15,
                "others are told if their middle is within this share of the width at the left or right",
            ),
        ],
    },
    run,
};

/// Tags of one figure.
const ONE: &[&str] = &["solo", "1girl", "1boy", "1other"];

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let images: Vec<usize> = set.of_folder(folder).collect();
        let tagged: Vec<usize> = set.tagged().filter(|index| set.images[*index].item.folder == folder).collect();
        let single = tagged.iter().filter(|index| set.images[**index].caption.has_any(ONE)).count();
        let is_single_by_tags = single as f64 / tagged.len().max(1) as f64 >= found.limit("solo");
        let alone = images.iter().filter(|index| figures(&set.images[**index].seen) == 1).count();
        let is_single_by_sight = alone as f64 / images.len().max(1) as f64 >= found.limit("solo");
        let is_single = is_single_by_tags || tagged.is_empty() && is_single_by_sight;
        if !is_single {
            continue;
        }
        for index in images {
            let image = &set.images[index];
            let mut said: Vec<String> = Vec::new();
            if tagged.contains(&index) {
                said.extend(SEVERAL.iter().filter(|word| image.caption.has(word)).map(|word| (*word).to_owned()));
            }
            said.extend(seen(image, found.limit("border")));
            if said.is_empty() {
                continue;
            }
            let remedy =
                "crop them away or paint them out: one or two such images are enough for stray faces and hands";
            found.image(
                index,
                Told {
                    level: Level::Warning,
                    number: said.len() as f64,
                    threshold: 1.0,
                    sentence: format!("shows others too: {}", said.join(", ")),
                    remedy: remedy.to_owned(),
                    ..Told::default()
                },
            );
        }
    }
}

/// What detectors see of others, in words.
fn seen(image: &Image, border: f64) -> Option<String> {
    let count = figures(&image.seen);
    if count < 2 {
        return None;
    }
    let width = f64::from(image.item.size.0.max(1));
    let is_at_border = |one: &&Seen| {
        let place = one.middle()[0] / width;
        one.kind.is_figure() && place.min(1.0 - place) < border
    };
    let at_border = image.seen.iter().filter(is_at_border).count();
    let words = if at_border > 0 { ", some at the border" } else { "" };
    Some(format!("{count} figures are seen{words}"))
}
