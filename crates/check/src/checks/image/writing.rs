//! `img.text`: writing that a LoRA learns to smear over its pictures, by what tags say.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::WRITING;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.text",
        scope: Scope::Image,
        what: "watermarks, signatures and other writing that tags tell of; that no tag tells of one proves nothing",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.tagged() {
        let caption = &set.images[index].caption;
        let mut said: Vec<&str> = WRITING.iter().copied().filter(|word| caption.has(word)).collect();
        said.dedup();
        let Some(first) = said.first() else { continue };
        let is_plain = *first == "text" || first.ends_with(" text") || *first == "speech bubble";
        found.image(
            index,
            Told {
                level: if is_plain { Level::Hint } else { Level::Warning },
                number: said.len() as f64,
                threshold: 1.0,
                sentence: format!("has writing in it: {}", said.join(", ")),
                remedy: "paint it out; else keep the tag, so that a negative prompt can take it out".to_owned(),
                ..Told::default()
            },
        );
    }
}
