//! Opens checkpoint and images of a run, measures its snapshots and paints with them, and shows how far it is.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lorabake_generate::easel::Easel;
use lorabake_judge::bench::{Effort, Progress, Work};
use lorabake_judge::facts::RunFacts;
use lorabake_judge::measure::Measures;
use lorabake_judge::paintings::{Comparison, ContactSheet};
use lorabake_judge::pictures::PictureMeasures;
use lorabake_judge::rules::judge;
use lorabake_judge::runs::Run;
use lorabake_judge::scenes::scenes;
use lorabake_judge::setup::{Setup, easel};
use lorabake_judge::studio::{RawGallery, Studio};
use lorabake_recipe::Recipe;

use crate::progress::Counter;
use crate::stop;

use super::Args;

/// What is measured of a run, and of its snapshots' pictures.
pub struct Measured {
    /// Losses, strengths, drift.
    pub measures: Measures,
    /// What pictures tell, by the snapshots' numbers.
    pub pictures: Vec<(usize, PictureMeasures)>,
    /// The pictures.
    pub sheet: ContactSheet,
    /// What of the recipe matters.
    pub facts: RunFacts,
}

/// Measures the run.
///
/// # Errors
/// When a snapshot, an image or the checkpoint cannot be read, or on Ctrl-C.
pub fn measure(args: &Args, run: &Run, recipe: &Recipe) -> Result<Measured> {
    let mut easel = easel(recipe)?;
    let setup = Setup::of(recipe, &mut easel, &mut |_| Ok(()))?;
    let effort = Effort { responses: if setup.is_small { usize::MAX } else { 1 } };
    let probe = easel.painter.probe();
    let meters = setup.meters(probe, args.judge_seed)?;
    let mut measures = setup.bench(probe, &meters).measure(&run.snapshots, effort, &mut tell_progress(&mut None))?;
    let mut looked = Looked::default();
    if args.budget != "quick" {
        let scenes = scenes(&setup.material.captions, setup.words(), if args.budget == "full" { 8 } else { 4 });
        let studio = Studio { plan: &setup.plan, scenes: &scenes, plain: &setup.plain };
        let chosen: Vec<usize> = match setup.is_small {
            true => (0..run.snapshots.len()).filter(|index| !measures.snapshots[*index].is_broken).collect(),
            false => worth_pictures(&measures),
        };
        looked = look(&mut easel, &studio, Wish { args, run, setup: &setup, chosen: &chosen })?;
    }
    if let Some(keep) = judge(&measures, &looked.pictures, &setup.facts).keep {
        let mut chosen = vec![keep, run.snapshots.len() - 1];
        chosen.dedup();
        let probe = easel.painter.probe();
        let meters = setup.meters(probe, args.judge_seed)?;
        setup.bench(probe, &meters).measure_apart(&mut measures, &chosen, &mut tell_progress(&mut None))?;
    }
    Ok(Measured { measures, pictures: looked.pictures, sheet: looked.sheet, facts: setup.facts })
}

/// What is seen in pictures.
#[derive(Default)]
struct Looked {
    pictures: Vec<(usize, PictureMeasures)>,
    sheet: ContactSheet,
}

/// Which snapshots are painted with.
struct Wish<'a> {
    args: &'a Args,
    run: &'a Run,
    setup: &'a Setup,
    chosen: &'a [usize],
}

/// Paints with the snapshots that are wished, and measures what they painted.
fn look(easel: &mut Easel, studio: &Studio<'_>, wish: Wish<'_>) -> Result<Looked> {
    let Wish { args, run, setup, chosen } = wish;
    let painted = paint(easel, studio, run, chosen)?;
    let side = studio.plan.size[0].max(studio.plan.size[1]);
    let comparison = Comparison::new(&easel.painter, side, &setup.material, painted.base, studio.plain)?;
    let mut looked = Looked::default();
    let mut galleries = Vec::new();
    for (index, raw) in chosen.iter().zip(painted.snapshots) {
        let (mut measured, gallery) = comparison.measure(raw)?;
        if args.budget == "full" {
            measured.tags = comparison.heed(&setup.meters(easel.painter.probe(), args.judge_seed)?.meter, &gallery)?;
        }
        looked.pictures.push((*index, measured));
        galleries.push((*index, gallery));
    }
    looked.sheet = comparison.sheet(&galleries, studio.plain);
    Ok(looked)
}

/// Pictures of the checkpoint alone, and of snapshots.
struct Pictures {
    base: RawGallery,
    snapshots: Vec<RawGallery>,
}

fn paint(easel: &mut Easel, studio: &Studio<'_>, run: &Run, chosen: &[usize]) -> Result<Pictures> {
    let mut counter = Counter::new("painting", ((chosen.len() + 1) * studio.count()) as u64);
    let mut painted = 0;
    let wished = stop::wished()?;
    let mut done = || {
        painted += 1;
        counter.set(painted, String::new());
        if wished.load(Ordering::Relaxed) {
            bail!("stopped; nothing was written");
        }
        Ok(())
    };
    let base = studio.paint(easel, None, &mut done)?;
    let mut snapshots = Vec::new();
    for index in chosen {
        snapshots.push(studio.paint(easel, Some(&run.snapshots[*index].path), &mut done)?);
    }
    counter.clear();
    Ok(Pictures { base, snapshots })
}

/// Shows how far measuring is.
fn tell_progress(counter: &mut Option<(Work, Counter)>) -> impl FnMut(Progress) -> Result<()> + '_ {
    move |Progress { what, done, total }| {
        let name = match what {
            Work::Losses => "losses",
            Work::Strengths => "strengths",
            Work::Apart => "UNet and text encoder apart",
        };
        if counter.as_ref().is_none_or(|(before, _)| *before != what) {
            *counter = Some((what, Counter::new(name, total as u64)));
        }
        if let Some((_, counter)) = counter {
            counter.set(done as u64, String::new());
        }
        Ok(())
    }
}

/// The best two snapshots by their losses, and the last.
fn worth_pictures(measures: &Measures) -> Vec<usize> {
    let mut by_score: Vec<usize> =
        (0..measures.snapshots.len()).filter(|index| !measures.snapshots[*index].is_broken).collect();
    let last = by_score.last().copied();
    by_score.sort_by(|a, b| measures.snapshots[*a].score().mean.total_cmp(&measures.snapshots[*b].score().mean));
    by_score.truncate(2);
    by_score.extend(last);
    by_score.sort_unstable();
    by_score.dedup();
    by_score
}
