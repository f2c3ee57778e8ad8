//! What captions say of themselves (M13): tags that are in nearly all of them are one with the trigger, and cannot be asked
//! for or away any more. The shares are those of the program caption-audit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// From this share of captions on a tag is one with the trigger.
const FUSED: f64 = 0.85;
/// From this share on it comes along strongly.
const STRONG: f64 = 0.6;
/// Fewer captions than this say nothing.
const FEWEST: usize = 5;

/// A tag that comes along.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagShare {
    /// The tag.
    pub tag: String,
    /// Share of captions that have it, 0 to 1.
    pub share: f64,
}

/// The tags of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagReport {
    /// The words that call up the LoRA: as the recipe says, or the tag that captions begin or end with.
    pub trigger: Option<String>,
    /// Tags that are one with the trigger.
    pub fused: Vec<TagShare>,
    /// Tags that come along strongly.
    pub strong: Vec<TagShare>,
    /// How many different captions there are, as a share of all.
    pub variety: f64,
    /// Captions without the trigger, as a share of all.
    pub without_trigger: f64,
}

impl TagReport {
    /// Looks through `captions`; `trigger` is what the recipe says of it.
    pub fn of(captions: &[String], trigger: Option<&str>) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for caption in captions {
            let mut tags: Vec<&str> = caption.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect();
            tags.sort_unstable();
            tags.dedup();
            for tag in tags {
                *counts.entry(tag).or_default() += 1;
            }
        }
        let count = captions.len().max(1) as f64;
        let trigger =
            trigger.map(str::to_owned).or_else(|| end_tag(captions, false)).or_else(|| end_tag(captions, true));
        let mut report = Self { trigger, ..Self::default() };
        let mut different: Vec<&String> = captions.iter().collect();
        different.sort();
        different.dedup();
        report.variety = different.len() as f64 / count;
        if let Some(trigger) = &report.trigger {
            report.without_trigger =
                captions.iter().filter(|caption| !caption.contains(trigger.as_str())).count() as f64 / count;
        }
        if captions.len() < FEWEST {
            return report;
        }
        for (tag, number) in counts {
            let share = number as f64 / count;
            let is_trigger = report.trigger.as_deref().is_some_and(|trigger| trigger.contains(tag));
            if is_trigger || share < STRONG {
                continue;
            }
            let found = TagShare { tag: tag.to_owned(), share };
            if share >= FUSED {
                report.fused.push(found);
            } else {
                report.strong.push(found);
            }
        }
        report
    }
}

/// The tag that four captions in five begin with, or end with.
fn end_tag(captions: &[String], is_last: bool) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for caption in captions {
        let tag = if is_last { caption.rsplit(',').next() } else { caption.split(',').next() };
        *counts.entry(tag.unwrap_or_default().trim()).or_default() += 1;
    }
    let (tag, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    // A caption without commas is a sentence, whose whole is no trigger.
    let is_tag = !tag.is_empty() && tag.split_whitespace().count() <= 3;
    if is_tag && count * 5 >= captions.len() * 4 { Some(tag.to_owned()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trigger_and_what_comes_along_are_found() {
        let captions: Vec<String> =
            (0..10).map(|n| format!("penny, hat{}", if n < 7 { ", bag" } else { ", cup" })).collect();
        let report = TagReport::of(&captions, None);
        assert_eq!(report.trigger.as_deref(), Some("penny"));
        assert_eq!(report.fused, [TagShare { tag: "hat".into(), share: 1.0 }]);
        assert_eq!(report.strong, [TagShare { tag: "bag".into(), share: 0.7 }]);
        assert_eq!((report.variety, report.without_trigger), (0.2, 0.0));
        let style: Vec<String> = (0..10).map(|n| format!("name {n}, white background, inked style")).collect();
        assert_eq!(TagReport::of(&style, None).trigger.as_deref(), Some("inked style"));
        let mixed: Vec<String> = ["a, b", "b, c", "c, d", "d, e", "e, f"].map(str::to_owned).to_vec();
        assert_eq!(TagReport::of(&mixed, None).trigger, None);
        assert_eq!(TagReport::of(&mixed, Some("zz")).without_trigger, 1.0);
    }
}
