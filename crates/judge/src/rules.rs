//! From measures to a verdict: one table of thresholds, one function a rule.
//!
//! The thresholds were fitted on bakes of the model inside the program that were spoilt on purpose; docs/judging.md has the
//! numbers. Those on strengths and ratios to the checkpoint's own losses should carry over to other models.

use crate::facts::RunFacts;
use crate::material::HeldOut;
use crate::measure::{Mean, Measures, SnapshotMeasures};
use crate::pictures::PictureMeasures;
use crate::strength::Response;
use crate::verdict::{Finding, Judged, Judgement, Verdict};

/// Drift of a LoRA that changes nothing.
const NOTHING: f64 = 1e-6;

/// Where verdicts change.
struct Thresholds {
    /// Drift without trigger from which a LoRA paints noise.
    noise: f64,
    /// Share of its pictures that look like noise.
    noisy_pictures: f64,
    /// Score from which it is no better than nothing, and clearly so.
    worse: f64,
    /// Best strength below which it is overcooked …
    overcooked: f64,
    /// … or below this, if alpha is above the rank …
    overcooked_by_alpha: f64,
    /// … if the interval ends below this, too.
    overcooked_end: f64,
    /// Best strength above which it is undercooked …
    undercooked: f64,
    /// … if the interval begins above this, too.
    undercooked_begin: f64,
    /// Score above which it hardly acts.
    idle: f64,
    /// Score over training images above which it has hardly learned them. How far errors can fall depends on the model,
    /// and was fitted for the one inside the program only.
    hardly_learned: f64,
    /// Score over training images below which it knows them by heart, whatever else.
    by_heart: f64,
    /// The same, for a LoRA whose pictures are all alike.
    alike_by_heart: f64,
    /// Share of pictures that are copies.
    copies: f64,
    /// z of saturation, contrast, clipping and sharpness.
    fried: f64,
    /// How much more a LoRA should act with its trigger.
    selectivity: f64,
    /// Diversity beside the checkpoint's.
    rigid: f64,
    /// Likeness below which it is not there yet.
    alike: f64,
    /// Likenesses that differ by no more are the same.
    as_alike: f64,
    /// Best strength of the text encoders outside of which a note is made.
    text: [f64; 2],
    /// Held-out images below which their number is mentioned.
    few: usize,
    /// Held-out images from which they tell something.
    enough: usize,
}

const AT: Thresholds = Thresholds {
    noise: 1.0,
    noisy_pictures: 0.3,
    worse: 0.05,
    overcooked: 0.65,
    overcooked_by_alpha: 0.8,
    overcooked_end: 0.85,
    undercooked: 1.3,
    undercooked_begin: 1.05,
    idle: -0.03,
    hardly_learned: -0.41,
    by_heart: -2.0,
    alike_by_heart: -1.2,
    copies: 0.5,
    fried: 3.0,
    selectivity: 2.0,
    rigid: 0.35,
    alike: 0.2,
    as_alike: 0.05,
    text: [0.6, 1.6],
    few: 3,
    enough: 5,
};

/// Judges a run by its measures; `pictures` are those of snapshots that were painted with, by their number.
pub fn judge(measures: &Measures, pictures: &[(usize, PictureMeasures)], facts: &RunFacts) -> Judgement {
    let mut snapshots = Vec::new();
    for (index, snapshot) in measures.snapshots.iter().enumerate() {
        let painted = pictures.iter().find(|(number, _)| *number == index).map(|(_, painted)| painted);
        snapshots.push(judge_one(Evidence { measures, snapshot, index, painted, facts }));
    }
    match keep(measures, &snapshots, pictures) {
        Some(Kept { index, ties }) => {
            let verdict = snapshots[index].verdict;
            Judgement { snapshots, keep: Some(index), ties, verdict }
        }
        None => Judgement { snapshots, keep: None, ties: Vec::new(), verdict: Verdict::CannotTell },
    }
}

/// What a snapshot is judged by.
struct Evidence<'a> {
    measures: &'a Measures,
    snapshot: &'a SnapshotMeasures,
    index: usize,
    painted: Option<&'a PictureMeasures>,
    facts: &'a RunFacts,
}

fn judge_one(evidence: Evidence<'_>) -> Judged {
    let mut notes = notes(&evidence);
    for (verdict, rule) in [
        (Verdict::Broken, broken as fn(&Evidence<'_>) -> Vec<Finding>),
        (Verdict::Undercooked, idle),
        (Verdict::Overcooked, overcooked),
        (Verdict::Undercooked, undercooked),
        (Verdict::CannotTell, undecided),
    ] {
        let mut findings = rule(&evidence);
        if !findings.is_empty() {
            findings.append(&mut notes);
            return Judged { verdict, findings };
        }
    }
    let mut findings = reasons(&evidence);
    findings.append(&mut notes);
    Judged { verdict: Verdict::Fine, findings }
}

/// What speaks for a LoRA that is fine.
fn reasons(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(Response { best, interval, .. }) = &evidence.snapshot.whole {
        findings.push(Finding::BestNear(*best, *interval));
    }
    if let Some(likeness) = evidence.painted.and_then(|painted| painted.likeness) {
        findings.push(Finding::Alike(likeness));
    }
    findings
}

/// Noise in place of pictures.
fn broken(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(why) = &evidence.snapshot.problem {
        findings.push(Finding::Unusable(why.clone()));
    } else if evidence.snapshot.is_broken {
        findings.push(Finding::NotFinite);
    }
    if evidence.snapshot.drift.plain > AT.noise {
        findings.push(Finding::Noise(evidence.snapshot.drift.plain));
    }
    if let Some(share) = evidence.painted.map(|painted| painted.noise).filter(|share| *share > AT.noisy_pictures) {
        findings.push(Finding::NoisyPictures(share));
    }
    findings
}

/// Nothing is changed at all: the best strength of such a LoRA means nothing.
fn idle(evidence: &Evidence<'_>) -> Vec<Finding> {
    let drift = evidence.snapshot.drift;
    if drift.plain < NOTHING && drift.trigger < NOTHING {
        return vec![Finding::HardlyActs(shown(evidence.snapshot).mean)];
    }
    Vec::new()
}

/// Too much training, or too high a rate.
fn overcooked(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { measures, snapshot, index, painted, facts } = evidence;
    let mut findings = Vec::new();
    let score = shown(snapshot);
    if score.mean > AT.worse && score.mean > score.error {
        findings.push(Finding::WorseThanBase(score.mean));
    }
    // With alpha above the rank less is needed to believe it: the guides never saw that end well.
    let is_braked = facts.alpha <= f64::from(facts.rank);
    let limit = if is_braked { AT.overcooked } else { AT.overcooked_by_alpha };
    if let Some(Response { best, interval, .. }) = &snapshot.whole
        && *best < limit
        && interval[1] < AT.overcooked_end
    {
        findings.push(Finding::BestBelow(*best, *interval));
    }
    let training = Mean::of(&snapshot.training).mean;
    let is_rigid = painted.and_then(|painted| painted.diversity).is_some_and(|diversity| diversity < AT.rigid);
    if training < AT.by_heart || (is_rigid && training < AT.alike_by_heart) {
        findings.push(Finding::ByHeart(training));
    }
    if let Some(before) = past_its_best(measures, *index) {
        findings.push(before);
    }
    if let Some(painted) = painted {
        if painted.copies > AT.copies {
            findings.push(Finding::Copies(painted.copies));
        }
        let weaker = snapshot.whole.as_ref().is_some_and(|response| response.best < 0.9);
        for (name, z) in &painted.fry {
            if *z > AT.fried && weaker {
                findings.push(Finding::Fried(name.clone(), *z));
            }
        }
    }
    findings
}

/// Whether an earlier snapshot knows held-out images better, by more than two standard errors.
fn past_its_best(measures: &Measures, index: usize) -> Option<Finding> {
    let own = &measures.snapshots[index];
    for (number, earlier) in measures.snapshots[..index].iter().enumerate() {
        let Mean { mean, error } = Mean::of_differences(&own.held_out, &earlier.held_out);
        if own.held_out.len() >= AT.few && mean > 2.0 * error && mean > AT.worse && score_of(measures, index) > AT.idle
        {
            return Some(Finding::PastItsBest(number, mean));
        }
    }
    None
}

fn score_of(measures: &Measures, index: usize) -> f64 {
    shown(&measures.snapshots[index]).mean
}

/// Too little training, or too low a rate.
fn undercooked(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { snapshot, painted, facts, .. } = evidence;
    let mut findings = Vec::new();
    let score = shown(snapshot);
    let training = Mean::of(&snapshot.training).mean;
    if training > AT.idle {
        findings.push(Finding::HardlyActs(score.mean));
    } else if facts.is_embedded && training > AT.hardly_learned {
        findings.push(Finding::HardlyLearned(training));
    }
    if let Some(Response { best, interval, still_falling, .. }) = &snapshot.whole {
        if *still_falling {
            findings.push(Finding::StillFalling(*best));
        } else if *best > AT.undercooked && interval[0] > AT.undercooked_begin {
            findings.push(Finding::BestAbove(*best, *interval));
        }
    }
    if let Some(likeness) = painted.and_then(|painted| painted.likeness)
        && likeness < AT.alike
    {
        findings.push(Finding::NotAlike(likeness));
    }
    findings
}

/// Too little to decide by.
fn undecided(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { measures, snapshot, painted, .. } = evidence;
    let mut findings = Vec::new();
    let is_alone = shown(snapshot).error.is_infinite();
    if painted.is_none() && (snapshot.whole.is_none() || is_alone) {
        findings.push(Finding::FewImages(measures.held_out_images));
    }
    findings
}

/// What is to be known beside the verdict.
fn notes(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { measures, snapshot, painted, facts, .. } = evidence;
    let mut findings = Vec::new();
    if let Some(Response { best, interval, .. }) = &snapshot.te
        && !(AT.text[0]..=AT.text[1]).contains(best)
        && (interval[1] < AT.text[1] || interval[0] > AT.text[0])
    {
        findings.push(Finding::TextStrength(*best, *interval));
    }
    let selectivity = snapshot.drift.selectivity();
    if facts.has_trigger && selectivity < AT.selectivity && snapshot.drift.plain > 0.002 {
        findings.push(Finding::Bleeds(selectivity));
    }
    if let Some(diversity) = painted.and_then(|painted| painted.diversity)
        && diversity < AT.rigid
    {
        findings.push(Finding::Rigid(diversity));
    }
    match measures.held_out {
        HeldOut::Split if measures.held_out_images < AT.enough => {
            findings.push(Finding::FewImages(measures.held_out_images));
        }
        HeldOut::Split => {}
        HeldOut::Mirrored | HeldOut::None => findings.push(Finding::NothingHeldOut),
    }
    findings
}

/// The score over held-out images, or over training images where there are none.
fn shown(snapshot: &SnapshotMeasures) -> Mean {
    if snapshot.held_out.is_empty() { Mean::of(&snapshot.training) } else { snapshot.score() }
}

/// The best snapshot: fine ones before others, then the most alike one, or that with the best score where none was painted
/// with. Of those that are as good the earliest, which is the least cooked.
fn keep(measures: &Measures, judged: &[Judged], pictures: &[(usize, PictureMeasures)]) -> Option<Kept> {
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
    let best = among.iter().copied().min_by(|a, b| score_of(measures, *a).total_cmp(&score_of(measures, *b)))?;
    let mut as_good = Vec::new();
    for index in among {
        let Mean { mean, error } = Mean::of_differences(values(measures, index), values(measures, best));
        if index == best || mean.abs() <= error {
            as_good.push(index);
        }
    }
    Some(Kept { index: as_good[0], ties: as_good[1..].to_vec() })
}

/// The snapshot to keep, and those that are as good.
struct Kept {
    index: usize,
    ties: Vec<usize>,
}

fn values(measures: &Measures, index: usize) -> &[f64] {
    let snapshot = &measures.snapshots[index];
    if snapshot.held_out.is_empty() { &snapshot.training } else { &snapshot.held_out }
}
