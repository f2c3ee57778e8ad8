//! M6: pictures that are copies of training images.
//!
//! Definition: r(g) = the distance of picture g to the nearest training image, divided by how far training images are from
//! their nearest fellows (the median). A copy has r < 0.5, or less where held-out images, which are none, come as near:
//! r < 0.7 × the 5th percentile of theirs. After Somepalli et al. 2022 (arXiv 2212.03860), whose features were made for it.
//! Composition alone may be copied: its patches then match best at their own places.
//! Misleads: a set of one image, or of all-alike ones, has no measure of its own; a quarter of the distance between two
//! seeds of the base stands in. Flat backgrounds make all pictures alike. Features of a small model are blunt: where
//! held-out images come nearer than 0.7, `blunt` says so, and little is to be concluded.

use std::borrow::Borrow;

use crate::bootstrap::{Interval, mean};
use crate::features::{Features, Yardstick};
use crate::nearest::{Nearest, distances};
use crate::quantile::{median, quantile};
use crate::wilson::wilson;

/// A picture nearer than this is a copy.
const COPY: f64 = 0.5;
/// Held-out images should be at least this far.
const HELD_OUT: f64 = 0.7;
/// What stands in for a set's own measure: this share of the distance between seeds.
const OF_SEEDS: f64 = 0.25;
/// A set whose images are nearer to each other than this share of the distance between seeds is all-alike.
const ALL_ALIKE: f64 = 0.1;
/// How sure the interval of the share is.
const LEVEL: f64 = 0.95;

/// What pictures are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// Each training image's nearest fellow.
    pub fellows: &'a [Nearest],
    /// Nearest training images of held-out ones.
    pub held_out: &'a [Nearest],
    /// How many training images there are.
    pub images: usize,
    /// The mean distance of two pictures of the base that differ in their seeds.
    pub seeds: Option<f64>,
}

/// Copies among pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// r of each picture.
    pub ratios: Vec<f64>,
    /// A picture whose r is below this is a copy.
    pub threshold: f64,
    /// The share of copies.
    pub share: f64,
    /// Where the share lies, with 95 %.
    pub interval: Interval,
    /// The share of training images that are some picture's nearest.
    pub used: f64,
    /// Whether held-out images, which are no copies, come nearer than 0.7.
    pub blunt: bool,
}

/// Copies among pictures, given the nearest training image of each. `None` where the set has no measure, or there are no
/// pictures.
pub fn copies(pictures: &[Nearest], training: &Training<'_>) -> Option<Copies> {
    if pictures.is_empty() || training.images == 0 {
        return None;
    }
    let scale = scale(training)?;
    let ratios: Vec<f64> = pictures.iter().map(|picture| picture.distance / scale).collect();
    let mut threshold = COPY;
    let mut blunt = false;
    if !training.held_out.is_empty() {
        let held_out: Vec<f64> = training.held_out.iter().map(|image| image.distance / scale).collect();
        let lowest = quantile(&held_out, 0.05);
        threshold = COPY.min(lowest * HELD_OUT);
        blunt = lowest <= HELD_OUT;
    }
    let hits = ratios.iter().filter(|ratio| **ratio < threshold).count();
    let mut used: Vec<usize> = pictures.iter().map(|picture| picture.index).collect();
    used.sort_unstable();
    used.dedup();
    Some(Copies {
        share: hits as f64 / ratios.len() as f64,
        interval: wilson(hits, ratios.len(), LEVEL),
        used: used.len() as f64 / training.images as f64,
        ratios,
        threshold,
        blunt,
    })
}

/// What a distance of 1 is.
fn scale(training: &Training<'_>) -> Option<f64> {
    let own = median(&distances(training.fellows));
    let scale = match training.seeds {
        Some(seeds) if own.is_nan() || own < ALL_ALIKE * seeds => OF_SEEDS * seeds,
        _ => own,
    };
    if scale > 0.0 { Some(scale) } else { None }
}

/// How much of the composition of `pictures` is that of the nearest image of `set`, which `near` has the numbers of.
pub fn composition<F: Borrow<Features>>(
    yardstick: &Yardstick,
    pictures: &[F],
    near: &[Nearest],
    set: &[F],
) -> Option<f64> {
    let mut distances = Vec::with_capacity(pictures.len());
    for (picture, near) in pictures.iter().zip(near) {
        let [own, other] = [picture, &set[near.index]].map(|features| yardstick.patchwork(features.borrow()));
        distances.push(PatchDistances { anywhere: own.anywhere(&other), at_place: own.at_place(&other) });
    }
    composition_copied(&distances)
}

/// How far a picture's patches are from those of its nearest training image.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PatchDistances {
    /// Wherever the most alike patch is.
    anywhere: f64,
    /// At the same place.
    at_place: f64,
}

/// How much of the composition is that of the nearest training image, a mean over pictures: the distance of patches
/// anywhere divided by that at their places. 1 = each thing is where it was. Compare with held-out images. `None` without
/// pictures.
fn composition_copied(pictures: &[PatchDistances]) -> Option<f64> {
    if pictures.is_empty() {
        return None;
    }
    let mut shares = Vec::with_capacity(pictures.len());
    for picture in pictures {
        // The very same picture has no distance at all.
        shares.push(if picture.at_place > 0.0 { picture.anywhere / picture.at_place } else { 1.0 });
    }
    Some(mean(&shares))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(distances: &[f64]) -> Vec<Nearest> {
        distances.iter().enumerate().map(|(index, distance)| Nearest { index, distance: *distance }).collect()
    }

    #[test]
    fn copies_are_nearer_than_half_a_fellow() {
        let fellows = all(&[0.2, 0.2, 0.3, 0.1]);
        let training = Training { fellows: &fellows, held_out: &[], images: 4, seeds: Some(0.5) };
        let found = copies(&all(&[0.02, 0.09, 0.11, 0.4]), &training).unwrap();
        assert_eq!((found.share, found.threshold, found.used), (0.5, 0.5, 1.0));
        assert!((found.ratios[3] - 2.0).abs() < 1e-12);
        assert!(found.interval.holds(0.5) && !found.blunt);
    }

    #[test]
    fn held_out_images_that_come_near_lower_the_threshold() {
        let fellows = all(&[0.2, 0.2]);
        let held_out = all(&[0.1, 0.1, 0.1]);
        let training = Training { fellows: &fellows, held_out: &held_out, images: 2, seeds: None };
        let found = copies(&all(&[0.08, 0.06]), &training).unwrap();
        assert!((found.threshold - 0.35).abs() < 1e-12);
        assert_eq!(found.share, 0.5);
        assert!(found.blunt);
    }

    #[test]
    fn a_set_without_measure_takes_that_of_seeds() {
        let one = Training { fellows: &[], held_out: &[], images: 1, seeds: Some(0.4) };
        assert!((copies(&all(&[0.04]), &one).unwrap().ratios[0] - 0.4).abs() < 1e-12);
        let fellows = all(&[0.01, 0.01]);
        let alike = Training { fellows: &fellows, held_out: &[], images: 2, seeds: Some(0.4) };
        assert!((copies(&all(&[0.05]), &alike).unwrap().ratios[0] - 0.5).abs() < 1e-12);
        assert_eq!(copies(&all(&[0.04]), &Training { seeds: None, ..one }), None);
        assert_eq!(copies(&[], &alike), None);
    }

    #[test]
    fn composition_is_copied_where_places_do_not_matter() {
        let same = PatchDistances { anywhere: 0.3, at_place: 0.3 };
        let moved = PatchDistances { anywhere: 0.3, at_place: 0.6 };
        assert_eq!(composition_copied(&[same, moved]), Some(0.75));
        assert_eq!(composition_copied(&[PatchDistances { anywhere: 0.0, at_place: 0.0 }]), Some(1.0));
        assert_eq!(composition_copied(&[]), None);
    }
}
