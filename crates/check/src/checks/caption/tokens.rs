//! `cap.tokens`: captions that are longer than what is used of them.

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told, percentile};
use crate::gather::{CountTokens, Set};

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.tokens",
        scope: Scope::Image,
        what: "captions with more tokens than are used, and what of them is cut off",
        thresholds: &[
            Threshold::new("most", 225.0, "an error above it: no trainer uses more"),
            Threshold::new("chunk", 75.0, "a hint above it, if no recipe says --max_token_length"),
        ],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(count) = set.wanted.count_tokens else { return };
    let counts: Vec<f64> = set.images.iter().map(|image| count(&image.caption.text) as f64).collect();
    let most = found.limit("most");
    let given = set.wanted.run.most_tokens.map(|tokens| tokens as f64);
    for (index, own) in counts.iter().enumerate() {
        let (level, threshold, remedy) = match given {
            _ if *own > most => (Level::Error, most, "shorten it; consolidate tags that say the same"),
            Some(used) if *own > used => (Level::Error, used, "give --max_token_length=225, or consolidate tags"),
            None if *own > found.limit("chunk") => {
                (Level::Hint, found.limit("chunk"), "train with --max_token_length=225 (150 if it is enough)")
            }
            _ => continue,
        };
        let cut = cut_off(&set.images[index].caption.tags, threshold, count);
        found.image(
            index,
            Told {
                level,
                number: *own,
                threshold,
                percentile: percentile(&counts, *own),
                sentence: format!("its caption has {own} tokens, and {threshold} are used{cut}"),
                remedy: remedy.to_owned(),
                ..Told::default()
            },
        );
    }
}

/// The tags that do not fit.
fn cut_off(tags: &[String], most: f64, count: &CountTokens<'_>) -> String {
    let mut text = String::new();
    for (place, tag) in tags.iter().enumerate() {
        if place > 0 {
            text += ", ";
        }
        text += tag;
        if count(&text) as f64 > most {
            return format!("; cut off from “{tag}” on, {} of {} tags", tags.len() - place, tags.len());
        }
    }
    String::new()
}
