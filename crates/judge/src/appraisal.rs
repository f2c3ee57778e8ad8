//! A run on the checkpoint that it was trained on: all snapshots measured and the important ones painted with.

use anyhow::Result;
use lorabake_generate::easel::Easel;

use crate::bench::Effort;
use crate::gallery::Gallery;
use crate::measure::Measures;
use crate::paintings::{Comparison, ContactSheet};
use crate::pictures::PictureMeasures;
use crate::plain::Applied;
use crate::progress::{News, Tell, Work};
use crate::rules::judge;
use crate::runs::Run;
use crate::setting::{Amount, Budget, Plan, Setting};

/// What is measured of a run, and of its snapshots' pictures.
#[derive(Debug)]
pub struct Appraisal<'a> {
    /// What it was measured with.
    pub setting: Setting<'a>,
    /// Losses, strengths, drift.
    pub measures: Measures,
    /// What pictures tell, by the snapshots' numbers.
    pub pictures: Vec<(usize, PictureMeasures)>,
    /// The pictures, by the snapshots' numbers.
    pub galleries: Vec<(usize, Gallery)>,
    /// What they were held against, if there are any.
    pub comparison: Option<Comparison>,
}

impl<'a> Appraisal<'a> {
    /// Measures a run on its own checkpoint; `tell` is told how far it is.
    ///
    /// # Errors
    /// When a snapshot, an image or a network cannot be read, and what `tell` returns.
    pub fn of(plan: Plan<'a>, run: &Run, easel: &mut Easel, tell: &mut Tell<'_>) -> Result<Self> {
        let is_small = plan.is_small();
        let mut setting = Setting::new(plan, easel, tell)?;
        tell(News::Plans(setting.passes(amount(plan, run.snapshots.len() as u64))))?;
        setting.paint_plain(easel, tell)?;
        let mut base = None;
        let effort = Effort { responses: if is_small { usize::MAX } else { 1 } };
        let mut measures = {
            let meters = setting.meters(easel.painter.probe())?;
            setting.bench(&meters).measure(&run.snapshots, effort, &mut base, tell)?
        };
        let chosen = match plan.budget {
            Budget::Quick => Vec::new(),
            _ if is_small => usable(&measures),
            _ => worth_pictures(&measures),
        };
        let mut looked = Looked::default();
        if plan.budget != Budget::Quick {
            looked = Looked::at(&setting, run, &chosen, easel, tell)?;
        }
        if let Some(keep) = judge(&measures, &looked.pictures, &setting.facts).keep {
            let mut chosen = vec![keep, run.snapshots.len() - 1];
            chosen.dedup();
            let meters = setting.meters(easel.painter.probe())?;
            setting.bench(&meters).measure_apart(&mut measures, &chosen, &mut base, tell)?;
        }
        let Looked { pictures, galleries, comparison } = looked;
        Ok(Self { setting, measures, pictures, galleries, comparison })
    }

    /// All pictures beside each other.
    pub fn sheet(&self) -> ContactSheet {
        let Some(comparison) = &self.comparison else { return ContactSheet::default() };
        comparison.sheet(&self.galleries, &self.setting.plain)
    }
}

/// How much of a run with so many snapshots is measured, at most.
fn amount(plan: Plan<'_>, snapshots: u64) -> Amount {
    let responses = if plan.is_small() { snapshots } else { snapshots.min(2) };
    let galleries = match plan.budget {
        Budget::Quick => 0,
        _ if plan.is_small() => 1 + snapshots,
        _ => 1 + snapshots.min(3),
    };
    // Both parts of the snapshot to keep and of the last one are measured, too.
    Amount { snapshots, responses: responses + 2 * snapshots.min(2), galleries }
}

/// What is seen in pictures.
#[derive(Default)]
struct Looked {
    pictures: Vec<(usize, PictureMeasures)>,
    galleries: Vec<(usize, Gallery)>,
    comparison: Option<Comparison>,
}

impl Looked {
    /// Paints with the snapshots `chosen`, and measures what they painted.
    fn at(setting: &Setting<'_>, run: &Run, chosen: &[usize], easel: &mut Easel, tell: &mut Tell<'_>) -> Result<Self> {
        let comparison = setting.comparison(easel, tell)?;
        let mut painted = Vec::new();
        for index in chosen {
            let snapshot = &run.snapshots[*index];
            tell(News::Begins(Work::Painting(snapshot.saved)))?;
            let lora = Applied { path: &snapshot.path, strength: 1.0 };
            painted.push(setting.paint(easel, lora, tell)?);
        }
        let mut looked = Self::default();
        for (index, (measured, gallery)) in chosen.iter().zip(setting.look(easel, &comparison, painted, tell)?) {
            looked.pictures.push((*index, measured));
            looked.galleries.push((*index, gallery));
        }
        looked.comparison = Some(comparison);
        Ok(looked)
    }
}

/// The snapshots that can be painted with.
fn usable(measures: &Measures) -> Vec<usize> {
    (0..measures.snapshots.len()).filter(|index| !measures.snapshots[*index].is_broken).collect()
}

/// The best two snapshots by their losses, and the last.
fn worth_pictures(measures: &Measures) -> Vec<usize> {
    let mut by_score = usable(measures);
    let last = by_score.last().copied();
    by_score.sort_by(|a, b| measures.snapshots[*a].score().mean.total_cmp(&measures.snapshots[*b].score().mean));
    by_score.truncate(2);
    by_score.extend(last);
    by_score.sort_unstable();
    by_score.dedup();
    by_score
}
