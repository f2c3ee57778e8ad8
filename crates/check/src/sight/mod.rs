//! What models see in the images of a set. The models are the caller's: detectors find figures and writing, taggers have left
//! their scores.

pub(crate) mod cache;
pub mod scores;

use std::collections::BTreeSet;

use lorabake_pixels::Rgb;
use lorabake_tags::images::{Kind, Seen};

use crate::measure::Frame;

pub use scores::TagScores;

/// Finds what is in a picture with more than a score, 0 to 1; or says why it cannot.
pub type Find<'a> = dyn Fn(&Rgb, f64) -> Result<Vec<Seen>, String> + 'a;

/// A detector.
pub struct Detector<'a> {
    /// What tells it from others: the hash of its file, and which of its classes count.
    pub key: String,
    /// The kinds of things that it finds.
    pub kinds: Vec<Kind>,
    /// How sure it has to be, 0 to 1.
    pub confidence: f64,
    /// Asks it.
    pub find: &'a Find<'a>,
}

/// The kinds that a set was looked through for.
pub type LookedFor = BTreeSet<Kind>;

/// Where something lies in the picture as it is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trained {
    /// Left, top, right and bottom in pixels of the bucket; they may lie outside of it.
    pub sides: [f64; 4],
    /// The share of its area that is inside.
    pub inside: f64,
}

/// Where what was seen in an image of `size` is trained.
pub fn trained(seen: &Seen, size: (u32, u32), frame: Frame) -> Trained {
    let scale =
        [f64::from(frame.resized.0) / f64::from(size.0.max(1)), f64::from(frame.resized.1) / f64::from(size.1.max(1))];
    let crop = [f64::from(frame.crop.0), f64::from(frame.crop.1)];
    let bucket = [f64::from(frame.bucket.0), f64::from(frame.bucket.1)];
    let mut sides = seen.sides;
    for (index, side) in sides.iter_mut().enumerate() {
        *side = *side * scale[index % 2] - crop[index % 2];
    }
    let span = |axis: usize| {
        let within = sides[axis + 2].min(bucket[axis]) - sides[axis].max(0.0);
        within.max(0.0) / (sides[axis + 2] - sides[axis]).max(f64::MIN_POSITIVE)
    };
    Trained { sides, inside: span(0) * span(1) }
}

/// How many figures there are by what was seen: the most of one kind.
pub fn figures(seen: &[Seen]) -> usize {
    let kinds = [Kind::Face, Kind::Head, Kind::HalfBody, Kind::Person];
    kinds.iter().map(|kind| seen.iter().filter(|one| one.kind == *kind).count()).max().unwrap_or(0)
}

/// The largest of a kind.
pub fn largest(seen: &[Seen], kind: Kind) -> Option<&Seen> {
    let area = |one: &Seen| one.extent()[0] * one.extent()[1];
    seen.iter().filter(|one| one.kind == kind).max_by(|one, other| area(one).total_cmp(&area(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_crop_takes_of_a_face_is_known() {
        let face = Seen { kind: Kind::Face, sides: [0.0, 100.0, 100.0, 200.0], score: 0.9 };
        // Half as large, and a quarter of the face cut off at the left.
        let frame = Frame { resized: (200, 300), bucket: (150, 300), crop: (25, 0) };
        let trained = trained(&face, (400, 600), frame);
        assert_eq!(trained, Trained { sides: [-25.0, 50.0, 25.0, 100.0], inside: 0.5 });
        let person = Seen { kind: Kind::Person, ..face };
        assert_eq!(figures(&[face, person, face]), 2);
        assert_eq!(largest(&[face, person], Kind::Head), None);
    }
}
