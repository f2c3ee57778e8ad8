//! Which candidates look like the originals, and which of them are worth training on.

use std::sync::Arc;

use anyhow::Result;
use lorabake_generate::painter::Painter;
use lorabake_pixels::Rgb;

use super::Candidate;
use crate::features::{FeatureMaker, Features, Yardstick};

/// How alike each of `candidates` is to the nearest of `originals`: 1 − [`Yardstick::subject`], every channel in its spread
/// over all of them. 1 = the same; around 0 = no more alike than any two of them.
///
/// Misleads: a copy of an original has 1. What is common to all pictures counts nothing, so that numbers of different
/// rounds are no measure of progress.
///
/// `watch` is told how many of all pictures were looked at, and may end it.
///
/// # Errors
/// As [`FeatureMaker::features`], and what `watch` ends it with.
pub fn likeness(
    painter: &Painter,
    side: usize,
    originals: &[Rgb],
    candidates: &[Rgb],
    watch: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<f64>> {
    let maker = FeatureMaker::new(painter, side)?;
    let mut all: Vec<Arc<Features>> = Vec::new();
    for picture in originals.iter().chain(candidates) {
        watch(all.len())?;
        all.push(maker.features(picture)?);
    }
    let set: Vec<&Features> = all.iter().map(Arc::as_ref).collect();
    if set.is_empty() {
        return Ok(Vec::new());
    }
    let yardstick = Yardstick::of(&set);
    let (known, others) = set.split_at(originals.len());
    let mut found = Vec::new();
    for candidate in others {
        let mut nearest = f64::INFINITY;
        for original in known {
            nearest = nearest.min(yardstick.subject(candidate, original));
        }
        found.push(1.0 - nearest);
    }
    Ok(found)
}

/// What is chosen of candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// Files to train on.
    pub keep: Vec<String>,
    /// Files that are more alike than one of those, and have the caption of another one or of an image that is trained on.
    pub passed_over: Vec<String>,
}

/// The `count` candidates to train on: the most alike of each caption first, so that they differ, then the rest.
///
/// `captions` are those of the images that are trained on already; a candidate with one of them comes behind the others: it
/// is alike since it was asked to be just that image, and teaches nothing new.
pub fn best(candidates: &[Candidate], captions: &[String], count: usize) -> Best {
    let mut order: Vec<&Candidate> = candidates.iter().collect();
    order.sort_by(|one, other| worth(other).total_cmp(&worth(one)));
    let mut said: Vec<&str> = captions.iter().map(String::as_str).collect();
    let mut chosen: Vec<&Candidate> = Vec::new();
    let mut rest: Vec<&Candidate> = Vec::new();
    for candidate in order {
        if said.contains(&candidate.caption.as_str()) {
            rest.push(candidate);
        } else {
            said.push(&candidate.caption);
            chosen.push(candidate);
        }
    }
    let new = chosen.len().min(count);
    let least = chosen[..new].iter().map(|candidate| worth(candidate)).fold(f64::INFINITY, f64::min);
    let more = rest.len().min(count - new);
    let passed = rest.split_off(more);
    chosen.truncate(new);
    chosen.extend(rest);
    let files = |candidates: &[&Candidate]| candidates.iter().map(|candidate| candidate.file.clone()).collect();
    let passed: Vec<&Candidate> = passed.into_iter().filter(|candidate| worth(candidate) > least).collect();
    Best { keep: files(&chosen), passed_over: files(&passed) }
}

/// How alike it is; less than all others where nothing is known.
fn worth(candidate: &Candidate) -> f64 {
    candidate.likeness.unwrap_or(f64::NEG_INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(file: &str, caption: &str, likeness: f64) -> Candidate {
        Candidate {
            file: file.to_owned(),
            prompt: String::new(),
            caption: caption.to_owned(),
            seed: 0,
            likeness: Some(likeness),
        }
    }

    #[test]
    fn the_most_alike_of_each_caption_comes_first() {
        let candidates = [
            candidate("1", "a", 0.9),
            candidate("2", "b", 0.5),
            candidate("3", "b", 0.8),
            candidate("4", "c", f64::NAN),
            candidate("5", "d", 0.95),
        ];
        let trained = ["d".to_owned()];
        assert_eq!(best(&candidates[..3], &[], 2).keep, ["1", "3"]);
        let known = [&candidates[..3], &candidates[4..]].concat();
        assert_eq!(best(&known, &trained, 9).keep, ["1", "3", "5", "2"]);
        // What is more alike and yet not kept is named.
        let two = Best { keep: vec!["1".to_owned(), "3".to_owned()], passed_over: vec!["5".to_owned()] };
        assert_eq!(best(&known, &trained, 2), two);
        assert_eq!(best(&candidates[..3], &[], 9).passed_over, Vec::<String>::new());
    }
}
