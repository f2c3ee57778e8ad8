//! `img.text`: writing that a LoRA learns to smear over its pictures, by what tags say and detectors see.

use lorabake_tags::images::Kind;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::{Image, Set};
use crate::tables::words::WRITING;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.text",
        scope: Scope::Image,
        what: "watermarks, signatures and other writing that tags tell of, or a --detector of writing sees; that no tag tells of \
               one proves nothing",
        thresholds: &[Threshold::new("share", 0.005, "a hint if a larger share of the image is writing that is seen")],
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
    let limit = found.limit("share");
    for index in set.learnt() {
        let share = written(&set.images[index]);
        if share > limit {
            found.image(
                index,
                Told {
                    number: share,
                    threshold: limit,
                    sentence: format!("{:.1} % of it is writing that is seen", 100.0 * share),
                    remedy: "if it is, paint it out, or mask it: lorabake images masks --detector … --invert"
                        .to_owned(),
                    ..Told::default()
                },
            );
        }
    }
}

/// The share of an image that is writing; boxes over each other count each.
fn written(image: &Image) -> f64 {
    let size = image.item.size;
    let whole = f64::from(size.0) * f64::from(size.1);
    let mut area = 0.0;
    for one in image.seen.iter().filter(|one| one.kind == Kind::Writing) {
        let [width, height] = one.extent();
        area += width * height;
    }
    area / whole.max(1.0)
}
