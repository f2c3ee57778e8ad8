//! Which of a picture's tags count: thresholds for each category.
//!
//! As in kohya's sd-scripts a score that is equal to the threshold counts.

use std::collections::BTreeMap;

use super::label::Category;
use super::scores::{ScoredTag, Scores};

/// The lowest cut of MCut for characters, as dghs-imgutils has it.
const LEAST_CHARACTER_CUT: f32 = 0.15;

/// From which score on tags count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Choice {
    /// What the tagger says of its categories.
    pub usual: BTreeMap<Category, f32>,
    /// What the user says, which goes before.
    pub wanted: BTreeMap<Category, f32>,
    /// How the rest is cut.
    pub cut: Cut,
}

/// How scores are cut where the user gives no threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cut {
    /// By thresholds.
    #[default]
    Threshold,
    /// In the middle of the largest gap between scores, picture by picture.
    LargestGap,
}

/// A tag that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// The tag as its list writes it.
    pub name: String,
    /// Its kind.
    pub category: Category,
    /// How likely it is, 0 to 1.
    pub score: f32,
}

impl Choice {
    /// The tags that count, in the order of the tagger's list; of ratings and qualities the likeliest each.
    pub fn tags(&self, scores: &Scores) -> Vec<Tag> {
        let best = [Category::Rating, Category::Quality].map(|category| scores.best(category));
        let mut tags = Vec::new();
        for tag in &scores.tags {
            let counts = match tag.category {
                Category::Rating | Category::Quality => best.contains(&Some(tag)),
                Category::Year | Category::Other => false,
                _ => tag.score >= self.threshold(tag, scores),
            };
            if counts {
                tags.push(Tag { name: tag.name.clone(), category: tag.category, score: tag.score });
            }
        }
        tags
    }

    fn threshold(&self, tag: &ScoredTag, scores: &Scores) -> f32 {
        if let Some(wanted) = self.wanted.get(&tag.category) {
            return *wanted;
        }
        let cut = scores.cuts.get(&tag.category);
        match (self.cut, cut) {
            (Cut::LargestGap, Some(cut)) if tag.category == Category::Character => cut.max(LEAST_CHARACTER_CUT),
            (Cut::LargestGap, Some(cut)) => *cut,
            _ => tag.threshold.or(self.usual.get(&tag.category).copied()).unwrap_or(0.35),
        }
    }
}
