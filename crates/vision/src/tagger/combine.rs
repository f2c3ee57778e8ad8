//! Several taggers about one picture.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::choose::{Choice, Tag};
use super::label::Category;
use super::scores::{ScoredTag, Scores};
use super::wording::folded;

/// How what several taggers say becomes one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Combine {
    /// A tag counts if it does for one of them; its score is its highest.
    #[default]
    Union,
    /// A tag counts if it does for all of them; its score is its lowest.
    Intersection,
    /// The mean of the scores is what thresholds are compared with; a tag that a tagger does not know has 0 there.
    Mean,
}

impl FromStr for Combine {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "union" => Ok(Self::Union),
            "intersection" => Ok(Self::Intersection),
            "mean" => Ok(Self::Mean),
            other => Err(format!("there is no `{other}`; use union, intersection or mean")),
        }
    }
}

/// What one tagger says of a picture, and what counts of it.
#[derive(Debug, Clone, Copy)]
pub struct Opinion<'a> {
    /// Its scores.
    pub scores: &'a Scores,
    /// Its thresholds.
    pub choice: &'a Choice,
}

/// The tags that count by all opinions together, in the order of the first tagger's list, then of the next ones'. Ratings and
/// qualities are those of the first that has them. For [`Combine::Mean`] the first tagger's thresholds hold.
pub fn combined(opinions: &[Opinion<'_>], combine: Combine) -> Vec<Tag> {
    let Some(first) = opinions.first() else { return Vec::new() };
    if opinions.len() == 1 {
        return first.choice.tags(first.scores);
    }
    if combine == Combine::Mean {
        return first.choice.tags(&mean(opinions));
    }
    let mut all: Vec<Tag> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut counts: Vec<usize> = Vec::new();
    for opinion in opinions {
        for tag in opinion.choice.tags(opinion.scores) {
            match places.get(&folded(&tag.name)) {
                Some(place) => {
                    let known = &mut all[*place];
                    let pick = if combine == Combine::Union { f32::max } else { f32::min };
                    known.score = pick(known.score, tag.score);
                    counts[*place] += 1;
                }
                None => {
                    if is_single(tag.category) && all.iter().any(|known| known.category == tag.category) {
                        continue;
                    }
                    places.insert(folded(&tag.name), all.len());
                    all.push(tag);
                    counts.push(1);
                }
            }
        }
    }
    let mut kept = Vec::new();
    for (tag, count) in all.into_iter().zip(counts) {
        if combine == Combine::Union || count == opinions.len() || is_single(tag.category) {
            kept.push(tag);
        }
    }
    kept
}

/// Whether one tag of the category is true.
fn is_single(category: Category) -> bool {
    matches!(category, Category::Rating | Category::Quality)
}

fn mean(opinions: &[Opinion<'_>]) -> Scores {
    let mut tags: Vec<ScoredTag> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for opinion in opinions {
        for tag in &opinion.scores.tags {
            match places.get(&folded(&tag.name)) {
                Some(place) => tags[*place].score += tag.score,
                None => {
                    places.insert(folded(&tag.name), tags.len());
                    tags.push(tag.clone());
                }
            }
        }
    }
    for tag in &mut tags {
        tag.score /= opinions.len() as f32;
    }
    Scores { tags, cuts: opinions[0].scores.cuts.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(tags: &[(&str, f32)]) -> Scores {
        let tag = |(name, score): &(&str, f32)| ScoredTag {
            name: (*name).to_owned(),
            category: if *name == "safe" { Category::Rating } else { Category::General },
            score: *score,
            threshold: None,
        };
        Scores { tags: tags.iter().map(tag).collect(), cuts: BTreeMap::new() }
    }

    #[test]
    fn tags_are_joined_by_what_they_mean() {
        let choice = Choice { usual: BTreeMap::from([(Category::General, 0.5)]), ..Choice::default() };
        let one = scores(&[("safe", 0.3), ("red_hat", 0.9), ("cat", 0.6), ("dog", 0.4)]);
        let other = scores(&[("Red hat", 0.7), ("dog", 0.8), ("safe", 0.9)]);
        let opinions = [Opinion { scores: &one, choice: &choice }, Opinion { scores: &other, choice: &choice }];
        let names = |combine| {
            let tags = combined(&opinions, combine);
            tags.into_iter().map(|tag| format!("{} {:.2}", tag.name, tag.score)).collect::<Vec<_>>()
        };
        assert_eq!(names(Combine::Union), ["safe 0.90", "red_hat 0.90", "cat 0.60", "dog 0.80"]);
        assert_eq!(names(Combine::Intersection), ["safe 0.30", "red_hat 0.70"]);
        assert_eq!(names(Combine::Mean), ["safe 0.60", "red_hat 0.80", "dog 0.60"]);
    }
}
