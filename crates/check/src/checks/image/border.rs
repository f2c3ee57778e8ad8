//! `img.border`: letterboxes and frames.

use lorabake_tags::images::Stripe;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.border",
        scope: Scope::Image,
        what: "letterboxes and frames: plain stripes along the sides, behind which the picture begins at once",
        thresholds: &[
            Threshold::new("pixels", 8.0, "a stripe has at least so many pixels"),
            Threshold::new("share", 0.02, "and this share of the side"),
            Threshold::new("alone", 0.1, "a stripe at one side only has this share"),
            Threshold::new(
                "edge",
                0.5,
                "this share of the line behind it differs: before a plain background it is less",
            ),
        ],
    },
    run,
};

/// A frame leaves at least this share of each side.
const LEAST_KEPT: f64 = 0.4;

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for (index, measures) in set.measured() {
        let (width, height) = set.images[index].item.size;
        let borders = measures.borders;
        let stripe = |border: Stripe, side: u32, least: f64| {
            let is_wide = f64::from(border.width) >= found.limit("pixels").max(least * f64::from(side));
            if is_wide && border.edge >= found.limit("edge") { border.width } else { 0 }
        };
        let share = found.limit("share");
        let [left, right] = [borders.left, borders.right].map(|border| stripe(border, width, share));
        let [top, bottom] = [borders.top, borders.bottom].map(|border| stripe(border, height, share));
        let is_pair = left.min(right) > 0 || top.min(bottom) > 0;
        let alone = found.limit("alone");
        let [left_alone, right_alone] = [borders.left, borders.right].map(|border| stripe(border, width, alone));
        let [top_alone, bottom_alone] = [borders.top, borders.bottom].map(|border| stripe(border, height, alone));
        // Where less is left, the stripes are the picture.
        let kept = (width - left - right, height - top - bottom);
        let is_picture =
            f64::from(kept.0) < LEAST_KEPT * f64::from(width) || f64::from(kept.1) < LEAST_KEPT * f64::from(height);
        if is_picture || !is_pair && left_alone.max(right_alone).max(top_alone).max(bottom_alone) == 0 {
            continue;
        }
        let mut parts = Vec::new();
        for (pixels, side) in [(left, "left"), (top, "top"), (right, "right"), (bottom, "bottom")] {
            if pixels > 0 {
                parts.push(format!("{pixels} px {side}"));
            }
        }
        let largest = [(left, width), (right, width), (top, height), (bottom, height)]
            .map(|(pixels, side)| f64::from(pixels) / f64::from(side))
            .into_iter()
            .fold(0.0, f64::max);
        found.image(
            index,
            Told {
                level: if is_pair { Level::Warning } else { Level::Hint },
                number: largest,
                threshold: if is_pair { share } else { alone },
                sentence: format!("has plain stripes: {}", parts.join(", ")),
                remedy: format!(
                    "crop it to {} × {} from column {left} and row {top}; lorabake images borders does it",
                    kept.0, kept.1
                ),
                ..Told::default()
            },
        );
    }
}
