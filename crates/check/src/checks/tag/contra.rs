//! `tag.contra`: tags in one caption that cannot all be true of one figure.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::groups::{COLORED_HAIR, GROUPS};

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.contra",
        scope: Scope::Image,
        what: "tags in one caption that exclude each other: two hair colours, indoors and outdoors, sitting and \
               standing …",
        thresholds: &[],
    },
    run,
};

/// Chains within a group: the later says more of the same.
const SAME: [(&str, &str); 4] = [
    ("long hair", "very long hair"),
    ("very long hair", "absurdly long hair"),
    ("long hair", "absurdly long hair"),
    ("short hair", "very short hair"),
];

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.tagged() {
        let caption = &set.images[index].caption;
        let level = if caption.has("solo") { Level::Error } else { Level::Hint };
        for group in GROUPS {
            if caption.has_any(group.unless) {
                continue;
            }
            let said: Vec<&str> = group.tags.iter().copied().filter(|tag| caption.has(tag)).collect();
            let is_chain = said.windows(2).all(|pair| SAME.contains(&(pair[0], pair[1])));
            if said.len() > 1 && !is_chain {
                found.image(index, contradiction(level, group.name, &said));
            }
        }
        let is_colorless = caption.has_any(&["monochrome", "greyscale"]) && !caption.has("spot color");
        let colors: Vec<&str> = COLORED_HAIR.iter().copied().filter(|tag| caption.has(tag)).collect();
        if is_colorless && !colors.is_empty() {
            found.image(index, contradiction(Level::Hint, "no colours", &colors));
        }
    }
}

fn contradiction(level: Level, about: &str, said: &[&str]) -> Told {
    Told {
        level,
        number: said.len() as f64,
        threshold: 1.0,
        sentence: format!("contradicts itself about {about}: {}", said.join(", ")),
        remedy: "look at the picture and keep what is right".to_owned(),
        ..Told::default()
    }
}
