//! Which snapshot of a run to keep.

use crate::measure::{Mean, Measures, SnapshotMeasures};
use crate::pictures::PictureMeasures;
use crate::thresholds::AT;
use crate::verdict::{Judged, Verdict};

/// The best snapshot: fine ones before others, then the most alike one, or that with the best score where none was painted
/// with. Of those that are as good the earliest, which is the least cooked.
pub(crate) fn keep(measures: &Measures, judged: &[Judged], pictures: &[(usize, PictureMeasures)]) -> Option<Kept> {
    let first = judged.iter().map(|judged| judged.verdict.rank()).min()?;
    let among: Vec<usize> = (0..judged.len()).filter(|index| judged[*index].verdict.rank() == first).collect();
    let likeness =
        |index: usize| pictures.iter().find(|(number, _)| *number == index).and_then(|(_, painted)| painted.likeness);
    let alike: Vec<(usize, f64)> = among.iter().filter_map(|index| Some((*index, likeness(*index)?))).collect();
    if alike.len() > 1 && first < Verdict::Overcooked.rank() {
        let best = alike.iter().map(|(_, likeness)| *likeness).fold(f64::NEG_INFINITY, f64::max);
        let as_good: Vec<usize> =
            alike.iter().filter(|(_, likeness)| best - likeness <= AT.as_alike).map(|(index, _)| *index).collect();
        return Some(Kept { index: as_good[0], ties: as_good[1..].to_vec() });
    }
    let score = |index: usize| shown(&measures.snapshots[index]).mean;
    let best = among.iter().copied().min_by(|a, b| score(*a).total_cmp(&score(*b)))?;
    let best_values = values(&measures.snapshots[best]);
    let mut as_good = Vec::new();
    for index in among {
        let Mean { mean, error } = Mean::of_differences(values(&measures.snapshots[index]), best_values);
        if index == best || mean.abs() <= error {
            as_good.push(index);
        }
    }
    Some(Kept { index: as_good[0], ties: as_good[1..].to_vec() })
}

/// The snapshot to keep, and those that are as good.
pub(crate) struct Kept {
    pub index: usize,
    pub ties: Vec<usize>,
}

/// The score of each held-out image, or of each training image where there are none.
fn values(snapshot: &SnapshotMeasures) -> &[f64] {
    if snapshot.held_out.is_empty() { &snapshot.training } else { &snapshot.held_out }
}

/// The score over held-out images, or over training images where there are none.
pub(crate) fn shown(snapshot: &SnapshotMeasures) -> Mean {
    Mean::of(values(snapshot))
}
