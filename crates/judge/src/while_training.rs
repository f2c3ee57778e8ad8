//! Judges a LoRA while it is trained: measures and rules of `lorabake judge --budget quick`, with the networks of the run.

use std::time::Instant;

use anyhow::{Context, Result};
use lorabake_recipe::Recipe;
use lorabake_recipe::judging::Judging;
use lorabake_train::onlooker::{Onlooker, Opinion, View};

use crate::bench::Base;
use crate::measure::SnapshotMeasures;
use crate::progress::News;
use crate::rules::judge;
use crate::runs::Saved;
use crate::setting::{Amount, Budget, Found, Plan, Setting, home};
use crate::shelf::Shelf;
use crate::verdict::{Judged, Verdict};
use crate::worn::Worn;

/// What was found behind an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// The epoch that had just ended, counted from 1.
    pub epoch: u64,
    /// Optimizer steps made.
    pub step: u64,
    /// What was measured.
    pub measures: SnapshotMeasures,
    /// What it is.
    pub judged: Judged,
    /// The best epoch so far.
    pub best: u64,
    /// It was overcooked too often, so that the run ends.
    pub ends_run: bool,
    /// How long measuring took.
    pub seconds: f64,
}

/// What an examiner tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// How far the preparation is.
    Preparing(News),
    /// What was found behind an epoch.
    Examined(Box<Examined>),
}

/// Judges a LoRA while it is trained.
pub struct Examiner {
    /// The run, once it is prepared.
    run: Option<Prepared>,
    settings: Judging,
    base: Option<Base>,
    caption_gains: Vec<f64>,
    seen: Vec<SnapshotMeasures>,
    /// How often in a row it was overcooked.
    overcooked: u64,
    tell: Box<dyn FnMut(Told) + Send>,
}

/// A run, and what it is measured by.
struct Prepared {
    recipe: Recipe,
    found: Found,
}

/// Nothing that is measured on the way is kept for later.
const NO_SHELF: &Shelf = &Shelf::NONE;

impl Examiner {
    /// One who judges as often as `settings` says, and tells what is found.
    pub fn new(settings: Judging, tell: Box<dyn FnMut(Told) + Send>) -> Self {
        let (run, base) = (None, None);
        Self { run, settings, base, caption_gains: Vec::new(), seen: Vec::new(), overcooked: 0, tell }
    }
}

/// How a run is looked at on its way.
fn plan(recipe: &Recipe) -> Plan<'_> {
    Plan {
        recipe,
        budget: Budget::Quick,
        seed: 0,
        encoder: None,
        shelf: NO_SHELF,
        checkpoint: &recipe.model.checkpoint,
        has_texts: !recipe.caches.text_outputs,
    }
}

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examiner").field("settings", &self.settings).field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// The number of the best one: of those with the best verdict that which is best nearest to strength 1, which is what the
/// person who uses it types; the earliest of equals.
fn best(seen: &[SnapshotMeasures], judged: &[Judged]) -> usize {
    let away = |index: usize| match &seen[index].whole {
        Some(response) if response.best > 0.0 => response.best.ln().abs(),
        _ => f64::INFINITY,
    };
    let mut best = 0;
    for index in 1..seen.len() {
        let order = judged[index].verdict.rank().cmp(&judged[best].verdict.rank());
        if order.then(away(index).total_cmp(&away(best))).is_lt() {
            best = index;
        }
    }
    best
}

impl Onlooker for Examiner {
    fn prepare(&mut self, recipe: &Recipe) -> Result<()> {
        let plan = plan(recipe);
        let mut easel = home(recipe)?;
        let mut tell = |news| {
            (self.tell)(Told::Preparing(news));
            Ok(())
        };
        let mut setting = Setting::new(plan, &easel, &mut tell)?;
        tell(News::Plans(setting.passes(Amount { snapshots: 0, responses: 0, galleries: 0 })))?;
        setting.paint_plain(&mut easel, &mut tell)?;
        self.run = Some(Prepared { recipe: recipe.clone(), found: setting.into_found() });
        Ok(())
    }

    fn wants(&self, epoch: u64) -> bool {
        epoch.is_multiple_of(self.settings.every_epochs)
    }

    fn look(&mut self, view: &View<'_>) -> Result<Opinion> {
        let began = Instant::now();
        let Prepared { recipe, found } = self.run.as_ref().context("it is not prepared")?;
        let setting = Setting::of_found(plan(recipe), found.clone());
        let meters = setting.meters(view.probe)?;
        let bench = setting.bench(&meters);
        if view.epoch == 0 {
            self.base = Some(bench.base(&mut |_| Ok(()))?);
            self.caption_gains = bench.caption_gains()?;
            return Ok(Opinion::default());
        }
        let base = self.base.as_ref().context("the checkpoint alone could not be measured")?;
        let saved = Saved::Epoch(view.epoch);
        self.seen.push(bench.measure_one(saved, &Worn::InTraining(view.network), base)?);
        let measures = bench.measures(self.seen.clone(), self.caption_gains.clone());
        let judgement = judge(&measures, &[], &setting.facts);
        let last = self.seen.len() - 1;
        let judged = judgement.snapshots[last].clone();
        let is_spoilt = matches!(judged.verdict, Verdict::Overcooked | Verdict::Broken);
        self.overcooked = if is_spoilt { self.overcooked + 1 } else { 0 };
        let ends_run = self.settings.stop_when_overcooked.is_some_and(|times| self.overcooked >= times);
        let keep = best(&self.seen, &judgement.snapshots);
        let Saved::Epoch(best) = self.seen[keep].saved else { unreachable!("all were seen behind epochs") };
        (self.tell)(Told::Examined(Box::new(Examined {
            epoch: view.epoch,
            step: view.step,
            measures: self.seen[last].clone(),
            judged,
            best,
            ends_run,
            seconds: began.elapsed().as_secs_f64(),
        })));
        Ok(Opinion { is_best: keep == last, ends_run })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::drift::Drift;
    use crate::strength::{Point, Response};

    fn seen(best_strength: f64) -> SnapshotMeasures {
        let point = Point { strength: best_strength, scores: vec![-1.0] };
        let whole = Response { points: vec![point], best: best_strength, interval: [0.0, 2.0], still_falling: false };
        SnapshotMeasures {
            path: PathBuf::new(),
            saved: Saved::Epoch(1),
            held_out: vec![-1.0],
            training: vec![-1.0],
            drift: Drift { plain: 0.0, trigger: 0.0 },
            text_drift: None,
            whole: Some(whole),
            unet: None,
            te: None,
            is_broken: false,
            problem: None,
        }
    }

    fn found(verdicts: &[(Verdict, f64)]) -> usize {
        let judged: Vec<Judged> =
            verdicts.iter().map(|(verdict, _)| Judged { verdict: *verdict, findings: Vec::new() }).collect();
        best(&verdicts.iter().map(|(_, strength)| seen(*strength)).collect::<Vec<_>>(), &judged)
    }

    #[test]
    fn the_best_is_fine_and_works_at_strength_one() {
        use Verdict::{Fine, Overcooked, Undercooked};
        assert_eq!(found(&[(Undercooked, 1.0), (Fine, 1.2), (Fine, 1.05), (Fine, 0.8), (Overcooked, 1.0)]), 2);
        assert_eq!(found(&[(Overcooked, 0.5), (Overcooked, 0.4)]), 0);
        assert_eq!(found(&[(Fine, 0.8), (Fine, 1.25), (Fine, 1.25)]), 0);
    }
}
