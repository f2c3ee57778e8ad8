//! `img.aspect`: images of which the crop to their bucket takes much, and very long ones.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.aspect",
        scope: Scope::Image,
        what: "images of which the trainer's crop takes much away, and very long ones",
        thresholds: &[
            Threshold::new("lost", 0.15, "a warning if a larger share is cropped away"),
            Threshold::new("aspect", 0.35, "a hint if the shorter side is less than this of the longer (cleanvision)"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut all = Vec::new();
    for index in set.learnt() {
        all.extend(set.images[index].placement.map(|placement| placement.cropped_share()));
    }
    for index in set.learnt() {
        let Some(placement) = set.images[index].placement else { continue };
        let (width, height) = set.images[index].item.size;
        let lost = placement.cropped_share();
        let aspect = f64::from(width.min(height)) / f64::from(width.max(height));
        let (wide, high) = placement.bucket;
        let told = if lost > found.limit("lost") {
            Told {
                level: Level::Warning,
                number: lost,
                threshold: found.limit("lost"),
                percentile: percentile(&all, lost),
                sentence: format!("loses {:.0} % to the crop to {wide} × {high}", 100.0 * lost),
                remedy: "crop it yourself, or give --enable_bucket with a larger --max_bucket_reso".to_owned(),
                ..Told::default()
            }
        } else if aspect < found.limit("aspect") {
            Told {
                number: aspect,
                threshold: found.limit("aspect"),
                sentence: format!("is very long: {width} × {height}"),
                remedy: "crop it to what matters, or cut it into several".to_owned(),
                ..Told::default()
            }
        } else {
            continue;
        };
        found.image(index, told);
    }
}
