//! From what the cells say to boxes that stay: ultralytics' `non_max_suppression`.

/// What one cell says, in pixels of the network's input.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Across and down.
    pub center: [f32; 2],
    /// Width and height.
    pub size: [f32; 2],
    /// How likely each class is, 0 to 1.
    pub scores: Vec<f32>,
}

/// Something that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Left, top, right and bottom in pixels.
    pub sides: [f32; 4],
    /// How likely it is, 0 to 1.
    pub score: f32,
    /// The class, by number.
    pub class: usize,
}

/// Most boxes that are compared, and that stay.
const MOST_COMPARED: usize = 30_000;
const MOST_KEPT: usize = 300;
/// Boxes of two classes are moved this far apart, so that they never overlap.
const APART: f32 = 7680.0;

/// The boxes of more than this score, the likeliest first; of those of one class that overlap by more than `iou`
/// (intersection over union) the likeliest stays.
pub fn suppressed(candidates: &[Candidate], confidence: f32, iou: f32) -> Vec<Detection> {
    kept(candidates, confidence, iou).into_iter().map(|kept| kept.detection).collect()
}

/// A box that stays, and the cell that it is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// The box.
    pub detection: Detection,
    /// The candidate, by number.
    pub candidate: usize,
}

/// As [`suppressed`], each with its candidate.
pub(super) fn kept(candidates: &[Candidate], confidence: f32, iou: f32) -> Vec<Kept> {
    let mut found = Vec::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let mut class = 0;
        for (other, score) in candidate.scores.iter().enumerate() {
            if *score > candidate.scores[class] {
                class = other;
            }
        }
        let Some(score) = candidate.scores.get(class).copied() else { continue };
        if score > confidence {
            let [x, y] = candidate.center;
            let [width, height] = candidate.size;
            let sides = [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0];
            found.push(Kept { detection: Detection { sides, score, class }, candidate: index });
        }
    }
    found.sort_by(|one, other| other.detection.score.total_cmp(&one.detection.score));
    found.truncate(MOST_COMPARED);
    let mut kept: Vec<Kept> = Vec::new();
    for one in found {
        if kept.len() == MOST_KEPT {
            break;
        }
        if kept.iter().all(|better| overlap(&better.detection, &one.detection) <= iou) {
            kept.push(one);
        }
    }
    kept
}

/// Intersection over union; none where one is empty.
fn overlap(one: &Detection, other: &Detection) -> f32 {
    let [a, b] = [one, other].map(|own| own.sides.map(|side| side + own.class as f32 * APART));
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = width * height;
    let area = |own: [f32; 4]| (own[2] - own[0]) * (own[3] - own[1]);
    let either = area(a) + area(b) - both;
    if both > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(center: [f32; 2], scores: [f32; 2]) -> Candidate {
        Candidate { center, size: [10.0, 10.0], scores: scores.to_vec() }
    }

    #[test]
    fn the_likeliest_of_a_heap_stays_and_classes_do_not_meet() {
        let found = [
            candidate([5.0, 5.0], [0.5, 0.1]),
            candidate([6.0, 5.0], [0.9, 0.1]),
            candidate([5.0, 5.0], [0.1, 0.6]),
            candidate([50.0, 5.0], [0.3, 0.2]),
        ];
        let kept = suppressed(&found, 0.3, 0.7);
        let scores: Vec<f32> = kept.iter().map(|detection| detection.score).collect();
        assert_eq!(scores, [0.9, 0.6], "the last has no more than the confidence, the first hides behind the second");
        assert_eq!(kept[0].sides, [1.0, 0.0, 11.0, 10.0]);
        assert_eq!(kept[1].class, 1);
        assert_eq!(suppressed(&found, 0.3, 0.9).len(), 3);
    }

    #[test]
    fn no_more_than_300_stay() {
        let mut many = Vec::new();
        for index in 0..400 {
            many.push(candidate([20.0 * index as f32, 5.0], [0.9, 0.0]));
        }
        assert_eq!(suppressed(&many, 0.3, 0.7).len(), 300);
        assert!(suppressed(&[Candidate { center: [0.0; 2], size: [0.0; 2], scores: vec![] }], 0.3, 0.7).is_empty());
    }
}
