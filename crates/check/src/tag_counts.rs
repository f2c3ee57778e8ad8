//! Which images of a folder have which tags.

use std::collections::BTreeMap;

use crate::gather::Set;
use crate::tables::words::COUNTS;

/// The tags of one folder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagCounts {
    /// Images with captions of tags.
    pub images: Vec<usize>,
    /// For each tag, as tags are compared, the images that have it.
    pub tags: BTreeMap<String, Vec<usize>>,
}

impl TagCounts {
    /// Counts the tags of a folder.
    pub fn of(set: &Set<'_>, folder: usize) -> Self {
        let mut counts = Self::default();
        for index in set.tagged().filter(|index| set.images[*index].item.folder == folder) {
            counts.images.push(index);
            let mut keys: Vec<&String> = set.images[index].caption.keys.iter().collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                counts.tags.entry(key.clone()).or_default().push(index);
            }
        }
        counts
    }

    /// Share of images that have a tag.
    pub fn share(&self, key: &str) -> f64 {
        self.tags.get(key).map_or(0.0, |images| images.len() as f64 / self.images.len().max(1) as f64)
    }

    /// Images with at least one of these tags.
    pub fn with_any(&self, set: &Set<'_>, keys: &[&str]) -> Vec<usize> {
        self.images.iter().copied().filter(|index| set.images[*index].caption.has_any(keys)).collect()
    }

    /// Whether at least half of the images show a figure, by what their tags say.
    pub fn shows_figures(&self, set: &Set<'_>) -> bool {
        const NONE: [&str; 2] = ["no humans", "animal"];
        let figures: Vec<&str> = COUNTS.iter().copied().filter(|word| !NONE.contains(word)).collect();
        !self.images.is_empty() && 2 * self.with_any(set, &figures).len() >= self.images.len()
    }
}

/// The first of `names`, and how many more there are.
pub fn some_of(names: &[String]) -> String {
    const SOME: usize = 12;
    let mut text = names.iter().take(SOME).cloned().collect::<Vec<String>>().join(", ");
    if names.len() > SOME {
        text += &format!(" and {} more", names.len() - SOME);
    }
    text
}
