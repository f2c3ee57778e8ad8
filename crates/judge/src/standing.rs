//! How a LoRA does on several checkpoints: from measures to a word each, and which of them is the best place for it.
//!
//! Losses are relative to each checkpoint's own, which says how much the LoRA does there, not how good that checkpoint is.
//! So likeness decides where there are pictures, and the checkpoint that the LoRA was trained on where there are none.

use serde::{Deserialize, Serialize};

use crate::measure::{Mean, SnapshotMeasures};
use crate::pictures::PictureMeasures;
use crate::strength::Response;

/// How a LoRA does on a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does what it does on the best one, about.
    Holds,
    /// It does less than half of that.
    Weak,
    /// It hardly does anything.
    NoEffect,
    /// Pictures fall apart.
    Breaks,
}

/// Pictures at a strength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtStrength {
    /// How strong the LoRA was.
    pub strength: f64,
    /// What is measured of its pictures.
    pub measures: PictureMeasures,
}

/// A LoRA on a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnCheckpoint {
    /// The checkpoint's file name without suffix.
    pub name: String,
    /// The LoRA was trained on it.
    pub is_home: bool,
    /// Losses relative to this checkpoint's own.
    pub measures: SnapshotMeasures,
    /// Its pictures, at 1 first, then at the best strength if that is another one.
    pub pictures: Vec<AtStrength>,
    /// The strength that is best here, as people type it.
    pub strength: f64,
    /// How it does.
    pub standing: Standing,
}

/// A LoRA on all checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The snapshot's number.
    pub snapshot: usize,
    /// The checkpoint that it was trained on, then the others as they were named.
    pub checkpoints: Vec<OnCheckpoint>,
    /// The number of the best one, if it works anywhere.
    pub best: Option<usize>,
}

/// Where words change.
struct Thresholds {
    /// Drift without trigger from which pictures fall apart.
    noise: f64,
    /// Share of pictures that look like noise.
    noisy_pictures: f64,
    /// Score above which it hardly acts.
    idle: f64,
    /// Likeness below which it is not there.
    alike: f64,
    /// Share of the best likeness, or of the score at home, below which it is weak.
    weak: f64,
    /// Likenesses that differ by no more are the same.
    as_alike: f64,
}

/// The first four as for verdicts.
const AT: Thresholds =
    Thresholds { noise: 1.0, noisy_pictures: 0.3, idle: -0.03, alike: 0.2, weak: 0.5, as_alike: 0.05 };

/// Strengths that people type: tenths, and no more than this or less.
const TYPED: [f64; 2] = [0.3, 1.5];

/// The strength to use, from the response to strength: 1 unless errors say clearly something else.
pub fn usual_strength(response: Option<&Response>) -> f64 {
    let Some(Response { best, interval: [low, high], .. }) = response else { return 1.0 };
    if (*low..=*high).contains(&1.0) {
        return 1.0;
    }
    (best.clamp(TYPED[0], TYPED[1]) * 10.0).round() / 10.0
}

impl OnCheckpoint {
    /// Likeness at the strength to use, if it is known.
    pub fn likeness(&self) -> Option<f64> {
        self.at_best().and_then(|at| at.measures.likeness)
    }

    /// Pictures at the strength to use.
    fn at_best(&self) -> Option<&AtStrength> {
        self.pictures.last()
    }

    /// The lowest mean score at any strength that was tried; negative = better than the checkpoint alone.
    pub fn best_score(&self) -> f64 {
        let SnapshotMeasures { held_out, training, whole, .. } = &self.measures;
        let own = Mean::of(if held_out.is_empty() { training } else { held_out }).mean;
        let tried = whole.iter().flat_map(|response| &response.points).map(|point| point.mean());
        tried.fold(own, f64::min)
    }

    fn breaks(&self) -> bool {
        let is_noise = self.at_best().is_some_and(|at| at.measures.noise > AT.noisy_pictures);
        self.measures.is_broken || is_noise || self.measures.drift.plain > AT.noise
    }

    /// It hardly acts: by its pictures where there are any, else by its losses.
    fn is_idle(&self) -> bool {
        match self.likeness() {
            Some(likeness) => likeness < AT.alike,
            None => self.best_score() > AT.idle,
        }
    }
}

impl Elsewhere {
    /// Says of each of `checkpoints` how the LoRA does there, and which is the best.
    pub fn of(snapshot: usize, mut checkpoints: Vec<OnCheckpoint>) -> Self {
        let mut best: Option<usize> = None;
        for (index, place) in checkpoints.iter().enumerate() {
            if !place.breaks() && !place.is_idle() && best.is_none_or(|best| is_better(place, &checkpoints[best])) {
                best = Some(index);
            }
        }
        let model = best.map(|best| checkpoints[best].clone());
        for place in &mut checkpoints {
            place.standing = match &model {
                _ if place.breaks() => Standing::Breaks,
                _ if place.is_idle() => Standing::NoEffect,
                Some(model) if is_weak(place, model) => Standing::Weak,
                _ => Standing::Holds,
            };
        }
        Self { snapshot, checkpoints, best }
    }
}

/// Whether it is more alike than on `known`; without pictures the first one stays, where it was trained.
fn is_better(place: &OnCheckpoint, known: &OnCheckpoint) -> bool {
    match (place.likeness(), known.likeness()) {
        (Some(own), Some(known)) => own > known + AT.as_alike,
        _ => false,
    }
}

fn is_weak(place: &OnCheckpoint, best: &OnCheckpoint) -> bool {
    match (place.likeness(), best.likeness()) {
        (Some(own), Some(best)) => own < AT.weak * best,
        _ => place.best_score() > AT.weak * best.best_score(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::drift::Drift;
    use crate::runs::Saved;

    fn place(score: f64, likeness: Option<f64>) -> OnCheckpoint {
        let measures = SnapshotMeasures {
            path: PathBuf::new(),
            saved: Saved::End,
            held_out: vec![score; 4],
            training: vec![score; 4],
            drift: Drift { plain: 0.01, trigger: 0.2 },
            text_drift: None,
            whole: None,
            unet: None,
            te: None,
            is_broken: false,
            problem: None,
        };
        let mut pictures = Vec::new();
        if likeness.is_some() {
            let measures = PictureMeasures { likeness, ..PictureMeasures::default() };
            pictures.push(AtStrength { strength: 1.0, measures });
        }
        let standing = Standing::Holds;
        OnCheckpoint { name: String::new(), is_home: false, measures, pictures, strength: 1.0, standing }
    }

    fn standings(places: Vec<OnCheckpoint>) -> (Vec<Standing>, Option<usize>) {
        let found = Elsewhere::of(0, places);
        (found.checkpoints.iter().map(|place| place.standing).collect(), found.best)
    }

    #[test]
    fn pictures_decide_where_there_are_any() {
        let places =
            vec![place(-0.5, Some(0.7)), place(-0.1, Some(0.9)), place(-0.9, Some(0.3)), place(-0.9, Some(0.1))];
        let expected = [Standing::Holds, Standing::Holds, Standing::Weak, Standing::NoEffect];
        assert_eq!(standings(places), (expected.to_vec(), Some(1)));
        // A difference that says nothing leaves the first one.
        assert_eq!(standings(vec![place(-0.5, Some(0.7)), place(-0.5, Some(0.73))]).1, Some(0));
    }

    #[test]
    fn losses_decide_where_there_are_none() {
        let mut broken = place(-0.5, None);
        broken.measures.drift.plain = 3.0;
        let places = vec![place(-0.5, None), place(-0.9, None), place(-0.2, None), place(0.1, None), broken];
        let expected = [Standing::Holds, Standing::Holds, Standing::Weak, Standing::NoEffect, Standing::Breaks];
        assert_eq!(standings(places), (expected.to_vec(), Some(0)));
        assert_eq!(standings(vec![place(0.1, None)]), (vec![Standing::NoEffect], None));
    }

    #[test]
    fn a_strength_is_another_than_one_where_errors_say_so_clearly() {
        let response = |best, interval| Response { points: Vec::new(), best, interval, still_falling: false };
        assert_eq!(usual_strength(Some(&response(0.84, [0.7, 1.1]))), 1.0);
        assert_eq!(usual_strength(Some(&response(0.84, [0.7, 0.9]))), 0.8);
        assert_eq!(usual_strength(Some(&response(2.9, [2.0, 3.0]))), 1.5);
        assert_eq!(usual_strength(Some(&response(0.0, [0.0, 0.1]))), 0.3);
        assert_eq!(usual_strength(None), 1.0);
    }
}
