//! `img.grey`: pictures without colours in a set that has them.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::COLORLESS;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.grey",
        scope: Scope::Image,
        what: "pictures without colours in a set of coloured ones that no tag says it of",
        thresholds: &[
            Threshold::new("chroma", 4.0, "a picture is grey if its channels differ by less in the mean, of 255"),
            Threshold::new("set", 0.8, "nothing is said if this share of the set is grey"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let limit = found.limit("chroma");
    let grey: Vec<usize> =
        set.measured().filter(|(_, measures)| measures.chroma < limit).map(|(index, _)| index).collect();
    if grey.len() as f64 >= found.limit("set") * set.measured().count() as f64 {
        return;
    }
    for index in grey {
        let caption = &set.images[index].caption;
        let text = caption.text.to_lowercase();
        let is_said = COLORLESS.iter().any(|word| text.contains(word)) || text.contains("black-and-white");
        let has_tags = caption.file.is_some();
        if is_said {
            continue;
        }
        let chroma = set.images[index].measures.as_ref().map_or(0.0, |measures| measures.chroma);
        found.image(
            index,
            Told {
                level: if has_tags { Level::Warning } else { Level::Hint },
                number: chroma,
                threshold: limit,
                sentence: "has no colours, and no tag says so".to_owned(),
                remedy: "add a tag such as monochrome or greyscale, which a negative prompt can take out again"
                    .to_owned(),
                ..Told::default()
            },
        );
    }
}
