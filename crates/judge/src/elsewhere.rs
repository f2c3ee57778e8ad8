//! A LoRA on other checkpoints than its own (M14; the guide's "try it with other models before you share it"): losses
//! relative to each one's own, pictures beside those of each one alone, compared by each one's own features.

use anyhow::Result;
use lorabake_generate::easel::Easel;

use crate::appraisal::Appraisal;
use crate::bench::Effort;
use crate::gallery::Gallery;
use crate::measure::SnapshotMeasures;
use crate::paintings::{Comparison, SheetRow};
use crate::plain::Applied;
use crate::progress::{News, Tell, Work};
use crate::runs::Snapshot;
use crate::setting::{Amount, Budget, Plan, Setting};
use crate::standing::{AtStrength, OnCheckpoint, Standing, usual_strength};

/// A LoRA on a checkpoint with its pictures.
#[derive(Debug)]
pub struct Tried {
    /// What was measured; its standing is decided beside the others.
    pub place: OnCheckpoint,
    /// Pictures of each prompt: without LoRA, and at each strength.
    pub rows: Vec<SheetRow>,
}

/// Measures the LoRA `snapshot` on the checkpoint `name`, which is on `easel`; `tell` is told how far it is.
///
/// # Errors
/// When an image or a network cannot be read, the LoRA does not fit, and what `tell` returns.
pub fn elsewhere(
    plan: Plan<'_>,
    snapshot: &Snapshot,
    name: String,
    easel: &mut Easel,
    tell: &mut Tell<'_>,
) -> Result<Tried> {
    let mut setting = Setting::new(plan, easel, tell)?;
    let galleries = if plan.budget == Budget::Quick { 0 } else { 2 };
    tell(News::Plans(setting.passes(Amount { snapshots: 1, responses: 1, galleries })))?;
    setting.paint_plain(easel, tell)?;
    let measures = {
        let meters = setting.meters(easel.painter.probe())?;
        let bench = setting.bench(&meters);
        let alone = std::slice::from_ref(snapshot);
        bench.measure(alone, Effort { responses: 1 }, &mut None, tell)?.snapshots.remove(0)
    };
    let mut hung = Hung::default();
    if plan.budget != Budget::Quick && !measures.is_broken {
        let comparison = setting.comparison(easel, tell)?;
        hung.add(&setting, &comparison, Painted { snapshot, strength: 1.0, easel }, tell)?;
        let usual = usual_strength(measures.whole.as_ref());
        if usual != 1.0 {
            hung.add(&setting, &comparison, Painted { snapshot, strength: usual, easel }, tell)?;
        }
        hung.rows = comparison.sheet(&hung.galleries, &setting.plain).rows;
    }
    Ok(hung.tried(name, false, measures))
}

/// The same on the checkpoint that it was trained on, which is on `easel`, from what `appraisal` has found already; `keep`
/// is the snapshot's number.
///
/// # Errors
/// When a network cannot be read, and what `tell` returns.
pub fn at_home(
    appraisal: &Appraisal<'_>,
    keep: usize,
    name: String,
    easel: &mut Easel,
    tell: &mut Tell<'_>,
) -> Result<Tried> {
    let Appraisal { setting, measures, pictures, galleries, comparison } = appraisal;
    let measures = measures.snapshots[keep].clone();
    let mut hung = Hung::default();
    if let Some(comparison) = comparison
        && !measures.is_broken
    {
        let snapshot = &Snapshot { path: measures.path.clone(), saved: measures.saved };
        let known = pictures.iter().find(|(number, _)| *number == keep);
        let gallery = galleries.iter().find(|(number, _)| *number == keep);
        match (known, gallery) {
            (Some((_, known)), Some((_, gallery))) => {
                hung.pictures.push(AtStrength { strength: 1.0, measures: known.clone() });
                hung.galleries.push((0, gallery.clone()));
            }
            _ => hung.add(setting, comparison, Painted { snapshot, strength: 1.0, easel }, tell)?,
        }
        let usual = usual_strength(measures.whole.as_ref());
        if usual != 1.0 {
            hung.add(setting, comparison, Painted { snapshot, strength: usual, easel }, tell)?;
        }
        hung.rows = comparison.sheet(&hung.galleries, &setting.plain).rows;
    }
    Ok(hung.tried(name, true, measures))
}

/// What is painted with.
struct Painted<'a> {
    snapshot: &'a Snapshot,
    strength: f64,
    easel: &'a mut Easel,
}

/// Pictures at one strength after the other.
#[derive(Default)]
struct Hung {
    pictures: Vec<AtStrength>,
    galleries: Vec<(usize, Gallery)>,
    rows: Vec<SheetRow>,
}

impl Hung {
    fn add(
        &mut self,
        setting: &Setting<'_>,
        comparison: &Comparison,
        painted: Painted<'_>,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        let Painted { snapshot, strength, easel } = painted;
        tell(News::Begins(Work::Painting(snapshot.saved)))?;
        let raw = setting.paint(easel, Applied { path: &snapshot.path, strength }, tell)?;
        for (measures, gallery) in setting.look(easel, comparison, vec![raw], tell)? {
            self.pictures.push(AtStrength { strength, measures });
            self.galleries.push((self.galleries.len(), gallery));
        }
        Ok(())
    }

    fn tried(self, name: String, is_home: bool, measures: SnapshotMeasures) -> Tried {
        let strength = usual_strength(measures.whole.as_ref());
        let Self { pictures, rows, .. } = self;
        let standing = Standing::Holds;
        Tried { place: OnCheckpoint { name, is_home, measures, pictures, strength, standing }, rows }
    }
}
