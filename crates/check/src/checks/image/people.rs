//! `img.people`: other figures in a folder of one, by what tags say.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::SEVERAL;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.people",
        scope: Scope::Image,
        what: "several figures, or parts of others at the border, in a folder of one figure, by what tags say",
        thresholds: &[Threshold::new(
            "solo",
            0.6,
            "a folder is of one figure if this share has a tag such as solo or 1girl",
        )],
    },
    run,
};

/// Tags of one figure.
const ONE: &[&str] = &["solo", "1girl", "1boy", "1other"];

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let tagged: Vec<usize> = set.tagged().filter(|index| set.images[*index].item.folder == folder).collect();
        let single = tagged.iter().filter(|index| set.images[**index].caption.has_any(ONE)).count();
        let share = single as f64 / tagged.len().max(1) as f64;
        if share < found.limit("solo") {
            continue;
        }
        for index in tagged {
            let caption = &set.images[index].caption;
            let said: Vec<&str> = SEVERAL.iter().copied().filter(|word| caption.has(word)).collect();
            if said.is_empty() {
                continue;
            }
            found.image(
                index,
                Told {
                    level: Level::Warning,
                    number: said.len() as f64,
                    threshold: 1.0,
                    sentence: format!("shows others too: {}", said.join(", ")),
                    remedy:
                        "crop them away or paint them out: one or two such images are enough for stray faces and hands"
                            .to_owned(),
                    ..Told::default()
                },
            );
        }
    }
}
