//! Opens checkpoints, measures with them one after the other, and shows how far it is.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lorabake_generate::easel::{Easel, ModelFacts, model_name};
use lorabake_generate::open_checkpoint;
use lorabake_generate::painter::Predicts;
use lorabake_judge::Report;
use lorabake_judge::advice::advise;
use lorabake_judge::appraisal::Appraisal;
use lorabake_judge::elsewhere::{Tried, at_home, elsewhere};
use lorabake_judge::paintings::ContactSheet;
use lorabake_judge::progress::{News, Tell};
use lorabake_judge::rules::judge;
use lorabake_judge::runs::{Run, Snapshot};
use lorabake_judge::setting::{Plan, home, on_easel};
use lorabake_judge::standing::Elsewhere;

use super::against::Other;
use super::words;
use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// The verdict with its pictures.
pub struct Judged {
    /// All that is known.
    pub report: Report,
    /// Pictures of the snapshots.
    pub sheet: ContactSheet,
    /// Pictures of the snapshot to keep on each checkpoint.
    pub places: Vec<Tried>,
}

/// Measures the run on its own checkpoint, and the snapshot to keep on `others`; one checkpoint is in memory at a time.
///
/// # Errors
/// When a snapshot, an image or a checkpoint cannot be read, or on Ctrl-C.
pub fn measure(plan: Plan<'_>, run: &Run, others: &[Other]) -> Result<Judged> {
    let telling = stop::Telling::begin(stop::wished()?);
    let judged = measure_all(plan, run, others);
    telling.end();
    judged
}

fn measure_all(plan: Plan<'_>, run: &Run, others: &[Other]) -> Result<Judged> {
    let recipe = plan.recipe;
    if !others.is_empty() {
        terminal::say(&format!("checkpoint: {}", Shown(model_name(plan.checkpoint))));
    }
    let mut easel = held(plan, home(recipe)?)?;
    let mut screen = Screen::default();
    let appraisal = Appraisal::of(plan, run, &mut easel, &mut screen.tell()?)?;
    let Appraisal { setting, measures, pictures, .. } = &appraisal;
    let judgement = judge(measures, pictures, &setting.facts);
    let advice = advise(measures, &judgement, &setting.facts);
    let keep = judgement.keep;
    let mut report = Report {
        run: run.name.clone(),
        facts: setting.facts.clone(),
        measures: measures.clone(),
        pictures: pictures.clone(),
        judgement,
        advice,
        budget: Some(plan.budget),
        features: plan.encoder.map(|encoder| encoder.name()),
        elsewhere: None,
    };
    let sheet = appraisal.sheet();
    let mut places = Vec::new();
    if let (Some(keep), false) = (keep, others.is_empty()) {
        places.push(at_home(&appraisal, keep, model_name(plan.checkpoint), &mut easel, &mut screen.tell()?)?);
        let snapshot = run.snapshots[keep].clone();
        // The first checkpoint goes before the second one comes.
        drop((appraisal, easel));
        screen.clear();
        for other in others {
            places.push(on_other(plan, &snapshot, other)?);
        }
        let measured = places.iter().map(|tried| tried.place.clone()).collect();
        report.elsewhere = Some(Elsewhere::of(keep, measured));
    }
    screen.clear();
    Ok(Judged { report, sheet, places })
}

/// Measures a snapshot on another checkpoint.
fn on_other(plan: Plan<'_>, snapshot: &Snapshot, other: &Other) -> Result<Tried> {
    terminal::say(&format!("checkpoint: {}", Shown(&other.name)));
    let file = open_checkpoint(&other.checkpoint, None)?;
    let model = ModelFacts::of(&other.checkpoint, None);
    let plan = Plan { checkpoint: &other.checkpoint, ..plan };
    let mut easel = held(plan, on_easel(plan.recipe, file, Predicts::AsFile, model)?)?;
    let mut screen = Screen::default();
    let tried = elsewhere(plan, snapshot, other.name.clone(), &mut easel, &mut screen.tell()?)?;
    screen.clear();
    Ok(tried)
}

/// The same with the text encoders in memory, where they are small.
fn held(plan: Plan<'_>, easel: Easel) -> Result<Easel> {
    if plan.is_small() {
        easel.painter.hold_text_encoders()?;
    }
    Ok(easel)
}

/// Shows how far it is.
#[derive(Default)]
struct Screen {
    counter: Option<Counter>,
    planned: u64,
    done: u64,
    work: String,
}

impl Screen {
    /// What is told news; it ends the measurement on Ctrl-C.
    fn tell(&mut self) -> Result<Box<Tell<'_>>> {
        let wished = stop::wished()?;
        Ok(Box::new(move |news| {
            self.show(news);
            if wished.load(Ordering::Relaxed) {
                bail!("stopped; what was measured is kept, and the same command goes on");
            }
            Ok(())
        }))
    }

    fn show(&mut self, news: News) {
        match news {
            News::Plans(passes) => {
                self.planned = passes;
                self.counter = Some(Counter::new("judging", passes));
            }
            News::Begins(work) => self.work = words::work(work),
            // Where less was foreseen, the end is not passed before it is there.
            News::Did(passes) => self.done = (self.done + passes).min(self.planned),
        }
        match &mut self.counter {
            Some(counter) => counter.set(self.done, self.work.clone()),
            None => terminal::say(&self.work),
        }
    }

    /// Takes the bar away.
    fn clear(&mut self) {
        if let Some(counter) = self.counter.take() {
            counter.clear();
        }
    }
}
