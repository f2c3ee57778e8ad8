//! `img.jpeg`: what strong compression leaves, which a LoRA learns as texture.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, percentile};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.jpeg",
        scope: Scope::Image,
        what: "blocks and fringes of JPEG compression, also in files that were saved as PNG afterwards",
        thresholds: &[
            Threshold::new("quality", 60.0, "a warning if a JPEG file's quality is lower"),
            Threshold::new(
                "blocks",
                1.1,
                "a warning if steps at the borders of blocks are more times the largest elsewhere",
            ),
            Threshold::new(
                "shrunk",
                2.0,
                "nothing is said of images that are made so many times smaller: it is gone then",
            ),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let all: Vec<f64> = set.measured().map(|(_, measures)| measures.blockiness).collect();
    for (index, measures) in set.measured() {
        let image = &set.images[index];
        let Some(placement) = image.placement else { continue };
        if f64::from(image.item.size.0) >= found.limit("shrunk") * f64::from(placement.resized.0) {
            continue;
        }
        let blocks = measures.blockiness;
        let remedy = "find a better copy; a slight blur or a denoiser takes the blocks out".to_owned();
        let quality = measures.content.quality.map(f64::from);
        let told = match quality {
            Some(quality) if quality < found.limit("quality") => Told {
                number: quality,
                threshold: found.limit("quality"),
                sentence: format!("was compressed with a JPEG quality of {quality:.0}"),
                ..Told::default()
            },
            _ if blocks > found.limit("blocks") => Told {
                number: blocks,
                threshold: found.limit("blocks"),
                percentile: percentile(&all, blocks),
                sentence: format!(
                    "shows the blocks of JPEG: steps at their borders are {blocks:.2} times those elsewhere"
                ),
                ..Told::default()
            },
            _ => continue,
        };
        found.image(index, Told { level: Level::Warning, remedy, ..told });
    }
}
