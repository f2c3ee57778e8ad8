//! What checks of things that captions should tell have in common: folders of figures of which many captions don't.

use crate::caption::Caption;
use crate::gather::Set;
use crate::tag_counts::TagCounts;

/// Fewer captions than this say nothing.
const FEWEST: usize = 5;

/// A folder of figures with captions that lack something.
pub struct Untold {
    /// The folder's name.
    pub folder: String,
    /// The images of these captions.
    pub images: Vec<usize>,
    /// Their share of the folder's.
    pub share: f64,
}

/// Folders of figures of which a share of captions above `limit` does not tell.
pub fn folders(set: &Set<'_>, limit: f64, tells: impl Fn(&Caption) -> bool) -> Vec<Untold> {
    let mut all = Vec::new();
    for folder in set.learnt_folders() {
        let counts = TagCounts::of(set, folder);
        if counts.images.len() < FEWEST || !counts.shows_figures(set) {
            continue;
        }
        let untold = |index: &usize| !tells(&set.images[*index].caption);
        let images: Vec<usize> = counts.images.iter().copied().filter(untold).collect();
        let share = images.len() as f64 / counts.images.len() as f64;
        if share > limit {
            all.push(Untold { folder: set.dataset.folders[folder].name.clone(), images, share });
        }
    }
    all
}
