//! `img.small`: images that are enlarged to fill their bucket, so that the trainer sees what no pixel ever showed.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.small",
        scope: Scope::Image,
        what: "images that are enlarged to fill their bucket",
        thresholds: &[
            Threshold::new("hint", 1.0, "a hint if a side grows more times than this"),
            Threshold::new("warning", 1.25, "a warning from here on"),
            Threshold::new("error", 2.0, "an error from here on"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut all = Vec::new();
    for index in set.learnt() {
        all.extend(enlarged(set, index));
    }
    for index in set.learnt() {
        let Some(times) = enlarged(set, index) else { continue };
        let (level, threshold) = match times {
            _ if times > found.limit("error") => (Level::Error, found.limit("error")),
            _ if times > found.limit("warning") => (Level::Warning, found.limit("warning")),
            _ if times > found.limit("hint") => (Level::Hint, found.limit("hint")),
            _ => continue,
        };
        let image = &set.images[index];
        let Some(placement) = image.placement else { continue };
        let (width, height) = image.item.size;
        let (wide, high) = placement.resized;
        found.image(
            index,
            Told {
                level,
                number: times,
                threshold,
                percentile: percentile(&all, times),
                sentence: format!("{width} × {height} is enlarged {times:.2} times, to {wide} × {high}"),
                remedy: "find a larger original, lower --resolution, or give --bucket_no_upscale".to_owned(),
                ..Told::default()
            },
        );
    }
}

/// How many times an image is enlarged.
pub fn enlarged(set: &Set<'_>, index: usize) -> Option<f64> {
    let image = &set.images[index];
    let placement = image.placement?;
    let by_width = f64::from(placement.resized.0) / f64::from(image.item.size.0);
    let by_height = f64::from(placement.resized.1) / f64::from(image.item.size.1);
    Some(by_width.max(by_height))
}
