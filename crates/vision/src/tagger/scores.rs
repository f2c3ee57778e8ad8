//! The scores of one picture, as far as they are kept.

use std::collections::BTreeMap;

use super::label::{Category, Label};

/// Scores below this are not kept: no threshold is as low.
pub const LEAST_KEPT: f32 = 0.05;

/// A tag with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredTag {
    /// The tag as its list writes it.
    pub name: String,
    /// Its kind.
    pub category: Category,
    /// How likely it is, 0 to 1.
    pub score: f32,
    /// From which score on its list says that it is true.
    pub threshold: Option<f32>,
}

/// The scores of one picture by one tagger.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Tags of at least [`LEAST_KEPT`], and the best rating and quality, in the order of the tagger's list.
    pub tags: Vec<ScoredTag>,
    /// Where MCut cuts the scores of a category: in the middle of their largest gap.
    pub cuts: BTreeMap<Category, f32>,
}

impl Scores {
    /// What is kept of `values`, a score for each of `labels`.
    pub fn of(labels: &[Label], values: &[f32]) -> Self {
        let mut scores = Self::default();
        let best: Vec<Option<usize>> =
            [Category::Rating, Category::Quality].map(|category| highest(labels, values, category)).to_vec();
        let mut by_category: BTreeMap<Category, Vec<f32>> = BTreeMap::new();
        for (index, (label, score)) in labels.iter().zip(values).enumerate() {
            if label.name.is_empty() {
                continue;
            }
            by_category.entry(label.category).or_default().push(*score);
            if *score >= LEAST_KEPT || best.contains(&Some(index)) {
                let Label { name, category, threshold } = label.clone();
                scores.tags.push(ScoredTag { name, category, score: *score, threshold });
            }
        }
        for (category, scored) in by_category {
            if let Some(cut) = mcut(scored) {
                scores.cuts.insert(category, cut);
            }
        }
        scores
    }

    /// The likeliest tag of a category of which one is true.
    pub fn best(&self, category: Category) -> Option<&ScoredTag> {
        let mut best: Option<&ScoredTag> = None;
        for tag in &self.tags {
            if tag.category == category && best.is_none_or(|best| tag.score > best.score) {
                best = Some(tag);
            }
        }
        best
    }
}

fn highest(labels: &[Label], values: &[f32], category: Category) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, label) in labels.iter().enumerate() {
        let Some(score) = values.get(index) else { break };
        if label.category == category && best.is_none_or(|best| *score > values[best]) {
            best = Some(index);
        }
    }
    best
}

/// The middle of the largest gap between scores (maximum cut thresholding, Largeron, Moulin and Géry 2012).
fn mcut(mut scores: Vec<f32>) -> Option<f32> {
    scores.sort_by(|one, other| other.total_cmp(one));
    let mut cut = None;
    let mut largest = f32::NEG_INFINITY;
    for pair in scores.windows(2) {
        if pair[0] - pair[1] > largest {
            largest = pair[0] - pair[1];
            cut = Some((pair[0] + pair[1]) / 2.0);
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rating_is_kept_however_low() {
        let label = |name: &str, category| Label { name: name.to_owned(), category, threshold: None };
        let labels = [
            label("safe", Category::Rating),
            label("explicit", Category::Rating),
            label("1girl", Category::General),
            label("", Category::Other),
            label("hat", Category::General),
            label("cat", Category::General),
        ];
        let scores = Scores::of(&labels, &[0.01, 0.02, 0.9, 0.99, 0.04, 0.3]);
        let names: Vec<&str> = scores.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["explicit", "1girl", "cat"]);
        assert_eq!(scores.best(Category::Rating).unwrap().name, "explicit");
        assert_eq!(scores.cuts[&Category::General], (0.9 + 0.3) / 2.0);
        assert!(!scores.cuts.contains_key(&Category::Other));
    }
}
