//! Opens checkpoint and images of a run, measures its snapshots and paints with them, and shows how far it is.

use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lorabake_generate::easel::{Easel, ModelFacts};
use lorabake_generate::open_model;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::sample::picture_dtypes;
use lorabake_judge::facts::RunFacts;
use lorabake_judge::losses::{ALL_TIMESTEPS, FEW_TIMESTEPS, LossMeter};
use lorabake_judge::material::{Counts, Material};
use lorabake_judge::measure::{Bench, Effort, Measures, Progress, Work};
use lorabake_judge::paintings::{Comparison, ContactSheet};
use lorabake_judge::pictures::PictureMeasures;
use lorabake_judge::plain::{PaintPlan, PlainPicture, TextKind};
use lorabake_judge::rules::judge;
use lorabake_judge::runs::Run;
use lorabake_judge::scenes::{Words, scenes};
use lorabake_judge::studio::{RawGallery, Studio};
use lorabake_judge::tags::TagReport;
use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;

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
    let is_embedded = recipe.model.checkpoint == Checkpoint::Embedded;
    let size = [recipe.data.resolution.0 as usize, recipe.data.resolution.1 as usize];
    let clip_skip = recipe.model.clip_skip as usize;
    easel.painter.hold_text_encoders()?;
    let material = Material::read(&easel.painter, &recipe.data, Counts { training: 8, held_out: 12 })?;
    let facts = RunFacts::of(recipe, TagReport::of(&material.captions, None).trigger.as_deref());
    let class = recipe.prior.trigger.as_ref().and_then(|trigger| trigger.class.as_deref());
    let words = Words { trigger: facts.trigger.as_deref(), class };
    let is_small = is_small(recipe);
    let plan = PaintPlan { size, steps: if is_small { 12 } else { 20 }, cfg_scale: 5.0, clip_skip };
    let unrelated = [words.trigger.unwrap_or_default(), words.class.unwrap_or_default()];
    let prompts = TextKind::of(&material.captions, is_embedded).prompts(&unrelated);
    let prompts = &prompts[..prompts.len().min(4)];
    let plain = plan.paint_plain(&mut easel, prompts, &mut |_| Ok(()))?;
    let measures = losses(args, run, recipe, Seen { easel: &easel, material: &material, plain: &plain })?;
    let seen = |easel| Seen { easel, material: &material, plain: &plain };
    let mut looked = Looked::default();
    if args.budget != "quick" {
        let scenes = scenes(&material.captions, words, if args.budget == "full" { 8 } else { 4 });
        let studio = Studio { plan: &plan, scenes: &scenes, plain: &plain };
        let chosen: Vec<usize> = match is_small {
            true => (0..run.snapshots.len()).filter(|index| !measures.snapshots[*index].is_broken).collect(),
            false => worth_pictures(&measures),
        };
        looked = look(&mut easel, &studio, run, &chosen, &material)?;
    }
    let mut measures = measures;
    if let Some(keep) = judge(&measures, &looked.pictures, &facts).keep {
        let mut chosen = vec![keep, run.snapshots.len() - 1];
        chosen.dedup();
        apart(args, recipe, seen(&easel), &mut measures, &chosen)?;
    }
    Ok(Measured { measures, pictures: looked.pictures, sheet: looked.sheet, facts })
}

/// What is seen in pictures.
#[derive(Default)]
struct Looked {
    pictures: Vec<(usize, PictureMeasures)>,
    sheet: ContactSheet,
}

/// Paints with the snapshots `chosen`, and measures what they painted.
fn look(easel: &mut Easel, studio: &Studio<'_>, run: &Run, chosen: &[usize], material: &Material) -> Result<Looked> {
    let painted = paint(easel, studio, run, chosen)?;
    let side = studio.plan.size[0].max(studio.plan.size[1]);
    let comparison = Comparison::new(&easel.painter, side, material, painted.base, studio.plain)?;
    let mut looked = Looked::default();
    let mut galleries = Vec::new();
    for (index, raw) in chosen.iter().zip(painted.snapshots) {
        let (measured, gallery) = comparison.measure(raw)?;
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

/// What losses are measured with.
#[derive(Clone, Copy)]
struct Seen<'a> {
    easel: &'a Easel,
    material: &'a Material,
    plain: &'a [PlainPicture],
}

fn losses(args: &Args, run: &Run, recipe: &Recipe, seen: Seen<'_>) -> Result<Measures> {
    let meters = Meters::new(args, recipe, seen.easel)?;
    let effort = Effort { responses: if is_small(recipe) { usize::MAX } else { 1 } };
    meters.bench(recipe, seen).measure(&run.snapshots, effort, &mut tell_progress(&mut None))
}

fn apart(args: &Args, recipe: &Recipe, seen: Seen<'_>, measures: &mut Measures, chosen: &[usize]) -> Result<()> {
    let meters = Meters::new(args, recipe, seen.easel)?;
    meters.bench(recipe, seen).measure_apart(measures, chosen, &mut tell_progress(&mut None))
}

/// Whether pictures are so small that much can be measured.
fn is_small(recipe: &Recipe) -> bool {
    recipe.data.resolution.0 * recipe.data.resolution.1 < 256 * 256
}

/// Meters of losses, at many timesteps and at few.
struct Meters<'a> {
    meter: LossMeter<'a>,
    coarse: LossMeter<'a>,
    clip_skip: usize,
}

impl<'a> Meters<'a> {
    fn new(args: &Args, recipe: &Recipe, easel: &'a Easel) -> Result<Self> {
        let trained = recipe.diffusion.min_timestep as usize..recipe.diffusion.max_timestep as usize;
        let clip_skip = recipe.model.clip_skip as usize;
        let many: &[usize] = if is_small(recipe) { &ALL_TIMESTEPS } else { &FEW_TIMESTEPS };
        let meter = LossMeter::new(&easel.painter, many, trained.clone(), args.judge_seed, clip_skip)?;
        let coarse = LossMeter::new(&easel.painter, &FEW_TIMESTEPS, trained, args.judge_seed, clip_skip)?;
        Ok(Self { meter, coarse, clip_skip })
    }

    fn bench(&'a self, recipe: &'a Recipe, seen: Seen<'a>) -> Bench<'a> {
        Bench {
            easel: seen.easel,
            material: seen.material,
            plain: seen.plain,
            meter: &self.meter,
            coarse: &self.coarse,
            clip_skip: self.clip_skip,
            trigger: recipe.prior.trigger.as_ref().map(|trigger| trigger.words.as_str()),
        }
    }
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

/// The checkpoint that the run was trained on.
fn easel(recipe: &Recipe) -> Result<Easel> {
    let checkpoint = open_model(&recipe.model)?;
    let device = lorabake_device::open(recipe.train.device)?.device;
    let dtypes = picture_dtypes(recipe.train.precision, recipe.train.vae, &device);
    let predicts = match (recipe.diffusion.v_parameterization, recipe.diffusion.zero_terminal_snr) {
        (true, true) => Predicts::VelocityZeroTerminalSnr,
        (true, false) => Predicts::Velocity,
        (false, _) => Predicts::AsFile,
    };
    let painter = Painter::open(checkpoint, dtypes, predicts, false, device)?;
    Ok(Easel::new(painter, ModelFacts::of(&recipe.model.checkpoint, recipe.model.vae.as_deref())))
}
