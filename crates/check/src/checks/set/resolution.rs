//! `set.resolution`: a resolution that many images do not have.

use crate::about::{About, Threshold};
use crate::checks::image::small::enlarged;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.resolution",
        scope: Scope::Set,
        what: "a resolution for which many images have to be enlarged",
        thresholds: &[Threshold::new("share", 0.3, "a warning if a larger share is enlarged")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    // A pixel that rounding adds is none.
    const SOME: f64 = 1.02;
    let times: Vec<f64> = set.learnt().filter_map(|index| enlarged(set, index)).collect();
    let grown = times.iter().filter(|times| **times > SOME).count();
    let share = grown as f64 / times.len().max(1) as f64;
    if share <= found.limit("share") {
        return;
    }
    let (width, height) = set.wanted.data.resolution;
    found.add(Told {
        level: Level::Warning,
        subject: format!("{width} × {height}"),
        number: share,
        threshold: found.limit("share"),
        sentence: format!("{grown} of {} images are enlarged for this resolution", times.len()),
        remedy: "lower --resolution, find larger originals, or give --bucket_no_upscale".to_owned(),
        ..Told::default()
    });
}
