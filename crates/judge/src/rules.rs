//! From measures to a verdict: one function a rule; the thresholds are those of [`crate::thresholds`].

use crate::facts::RunFacts;
use crate::keep::{Kept, keep, shown};
use crate::material::HeldOut;
use crate::measure::{Mean, Measures, SnapshotMeasures};
use crate::pictures::PictureMeasures;
use crate::strength::{Point, Response};
use crate::thresholds::AT;
use crate::verdict::{Finding, Judged, Judgement, Verdict};

/// Drift of a LoRA that changes nothing.
const NOTHING: f64 = 1e-6;

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
    if let Some(response @ Response { best, interval, .. }) = &snapshot.whole
        && *best < limit
        && interval[1] < AT.overcooked_end
        && (!is_braked || is_costly(response))
    {
        findings.push(Finding::BestBelow(*best, *interval));
    }
    if let Some(moved) = snapshot.text_drift.and_then(|drift| drift.of_apart())
        && moved > AT.text_lost
    {
        findings.push(Finding::TextLost(moved));
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

/// Whether it matters that a LoRA is best below strength 1: where errors hardly depend on the strength, nobody sees that
/// they are least at 0.5.
fn is_costly(response: &Response) -> bool {
    let Mean { mean, error } = cost(response);
    mean > AT.cost && mean > error
}

/// How much larger errors are at strength 1 than at the best one that was measured, as a logarithm.
fn cost(response: &Response) -> Mean {
    let full = response.points.iter().find(|point| point.strength == 1.0);
    let best = response.points.iter().min_by(|one, other| one.mean().total_cmp(&other.mean()));
    match (full, best) {
        (Some(full), Some(Point { scores, .. })) => Mean::of_differences(&full.scores, scores),
        _ => Mean::of(&[]),
    }
}

/// Whether an earlier snapshot knows held-out images better, by more than two standard errors.
fn past_its_best(measures: &Measures, index: usize) -> Option<Finding> {
    let own = &measures.snapshots[index];
    for (number, earlier) in measures.snapshots[..index].iter().enumerate() {
        let Mean { mean, error } = Mean::of_differences(&own.held_out, &earlier.held_out);
        if own.held_out.len() >= AT.few && mean > 2.0 * error && mean > AT.worse && shown(own).mean > AT.idle {
            return Some(Finding::PastItsBest(number, mean));
        }
    }
    None
}

/// Too little training, or too low a rate.
fn undercooked(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { snapshot, painted, facts, .. } = evidence;
    let mut findings = Vec::new();
    let score = shown(snapshot);
    let training = Mean::of(&snapshot.training).mean;
    let acts_little = snapshot.drift.plain < AT.little && training > AT.little_learned;
    if training > AT.idle {
        findings.push(Finding::HardlyActs(score.mean));
    } else if facts.is_embedded && (training > AT.hardly_learned || acts_little) {
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
    if let Some(response @ Response { best, interval, .. }) = &snapshot.te
        && !(AT.text[0]..=AT.text[1]).contains(best)
        && (interval[1] < AT.text[1] || interval[0] > AT.text[0])
        && cost(response).mean > AT.text_cost
    {
        findings.push(Finding::TextStrength(*best, *interval));
    }
    if let Some(moved) = snapshot.text_drift.and_then(|drift| drift.of_apart())
        && moved > AT.text_moved
        && moved <= AT.text_lost
    {
        findings.push(Finding::TextMoved(moved));
    }
    if let Some(painted) = painted {
        of_pictures(painted, facts, &mut findings);
    } else if facts.has_trigger && snapshot.drift.selectivity() < AT.selectivity && snapshot.drift.plain > AT.acts {
        findings.push(Finding::Bleeds(snapshot.drift.selectivity()));
    }
    of_captions(measures, facts, &mut findings);
    match measures.held_out {
        HeldOut::Split if measures.held_out_images < AT.enough => {
            findings.push(Finding::FewImages(measures.held_out_images));
        }
        HeldOut::Split => {}
        HeldOut::Mirrored | HeldOut::None => findings.push(Finding::NothingHeldOut),
    }
    findings
}

/// What pictures show beside the verdict.
fn of_pictures(painted: &PictureMeasures, facts: &RunFacts, findings: &mut Vec<Finding>) {
    if let Some(moved) = painted.bleed
        && facts.has_trigger
        && moved > AT.moved[usize::from(facts.is_embedded)]
    {
        findings.push(Finding::Moved(moved));
    }
    if let Some(way) = painted.looks_along
        && facts.has_trigger
        && way > AT.looks_along
    {
        findings.push(Finding::LooksAlong(way));
    }
    if let Some(diversity) = painted.diversity
        && diversity < AT.rigid
    {
        findings.push(Finding::Rigid(diversity));
    }
    if let Some(posed) = painted.composition
        && posed > AT.posed
    {
        findings.push(Finding::Posed(posed));
    }
    for deaf in &painted.tags {
        if deaf.share < AT.deaf {
            findings.push(Finding::Deaf(deaf.tag.clone(), deaf.share));
        }
    }
}

/// What captions say beside the verdict.
fn of_captions(measures: &Measures, facts: &RunFacts, findings: &mut Vec<Finding>) {
    let gain = Mean::of(&measures.caption_gains);
    if measures.caption_gains.len() >= AT.captions && gain.mean < AT.sure * gain.error {
        findings.push(Finding::CaptionsDoNotFit(gain.mean));
    }
    if !facts.has_trigger {
        findings.push(Finding::NoTrigger);
    }
}
