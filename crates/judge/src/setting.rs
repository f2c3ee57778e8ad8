//! What LoRAs are measured with on one checkpoint: images, scenes and pictures of the checkpoint alone. Made once for all
//! snapshots of a run.

use anyhow::Result;
use lorabake_generate::easel::{Easel, ModelFacts};
use lorabake_generate::open_model;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::probe::Probe;
use lorabake_generate::sample::picture_dtypes;
use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::bench::{Bench, FEW, USUALLY_TRIED};
use crate::facts::RunFacts;
use crate::features::{ImageEncoder, Sight};
use crate::gallery::{Eye, Gallery};
use crate::loss_size::LossSize;
use crate::losses::{ALL_TIMESTEPS, FEW_TIMESTEPS, LossMeter};
use crate::material::{Counts, Material};
use crate::paintings::Comparison;
use crate::pictures::PictureMeasures;
use crate::plain::{Applied, PaintPlan, PlainPicture, TextKind};
use crate::progress::{News, Tell, Work};
use crate::scenes::{Scene, Words, scenes};
use crate::shelf::{Shelf, stamp};
use crate::studio::{RawGallery, Studio};
use crate::tags::TagReport;

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Budget {
    /// Losses alone.
    Quick,
    /// Losses, and pictures of four scenes.
    Normal,
    /// Losses at the whole size, and pictures of eight scenes.
    Full,
}

/// How a run is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// What it was trained with.
    pub recipe: &'a Recipe,
    /// How much is done.
    pub budget: Budget,
    /// Seed of the noise that is measured with.
    pub seed: u64,
    /// What pictures are compared by, in the place of the checkpoint's own UNet.
    pub encoder: Option<&'a ImageEncoder>,
    /// Where that is which was measured already.
    pub shelf: &'a Shelf,
    /// The checkpoint that it is looked at with.
    pub checkpoint: &'a Checkpoint,
    /// The text encoders are in memory anyhow.
    pub has_texts: bool,
}

/// What a setting has found; it may be kept without what it was found for.
#[derive(Debug, Clone)]
pub struct Found {
    facts: RunFacts,
    material: Material,
    plain: Vec<PlainPicture>,
}

/// What LoRAs are measured with on one checkpoint.
#[derive(Debug)]
pub struct Setting<'a> {
    /// How the run is looked at.
    pub plan: Plan<'a>,
    /// What of the recipe matters.
    pub facts: RunFacts,
    /// Images.
    pub material: Material,
    /// Prompts without trigger.
    pub prompts: Vec<&'static str>,
    /// Pictures of the checkpoint alone, of these prompts.
    pub plain: Vec<PlainPicture>,
    /// Prompts with the trigger.
    pub scenes: Vec<Scene>,
    paint: PaintPlan,
    shelf: Shelf,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Snapshots whose losses are measured.
    pub snapshots: u64,
    /// Responses to strength.
    pub responses: u64,
    /// Times that all scenes are painted.
    pub galleries: u64,
}

/// Images whose losses are measured, at most.
const IMAGES: [usize; 2] = [8, 12];
/// Prompts without trigger.
const PLAIN: usize = 4;
/// Sides in pixels from which half the size tells as much in a quarter of the time.
const LARGE: u32 = 512;
/// Passes that looking at a picture counts as: four noises, two thirds of the UNet.
const LOOK_PASSES: u64 = 3;

/// The checkpoint that the run of `recipe` is trained on.
///
/// # Errors
/// When it cannot be read, or the device does not work.
pub fn home(recipe: &Recipe) -> Result<Easel> {
    let checkpoint = open_model(&recipe.model)?;
    let predicts = match (recipe.diffusion.v_parameterization, recipe.diffusion.zero_terminal_snr) {
        (true, true) => Predicts::VelocityZeroTerminalSnr,
        (true, false) => Predicts::Velocity,
        (false, _) => Predicts::AsFile,
    };
    let model = ModelFacts::of(&recipe.model.checkpoint, recipe.model.vae.as_deref());
    on_easel(recipe, checkpoint, predicts, model)
}

/// A checkpoint's networks, in the precision of `recipe`.
///
/// # Errors
/// When a network does not fit, or the device does not work.
pub fn on_easel(
    recipe: &Recipe,
    file: lorabake_weights::Checkpoint,
    predicts: Predicts,
    model: ModelFacts,
) -> Result<Easel> {
    let train = &recipe.train;
    let device = lorabake_device::open(train.device)?.device;
    let dtypes = picture_dtypes(train.precision, train.vae, &device);
    let painter = Painter::open(file, dtypes, predicts, false, device)?;
    Ok(Easel::new(painter, model))
}

impl<'a> Plan<'a> {
    /// Whether pictures are so small that much can be measured.
    pub fn is_small(&self) -> bool {
        let (width, height) = self.recipe.data.resolution;
        width * height < 256 * 256
    }

    /// At which size losses are measured.
    pub fn loss_size(&self) -> LossSize {
        let (width, height) = self.recipe.data.resolution;
        let is_large = width.min(height) >= LARGE;
        if is_large && self.budget != Budget::Full { LossSize::Half } else { LossSize::Whole }
    }

    /// Whether the text encoders stay in memory from one text to the next.
    fn keeps_texts(&self) -> bool {
        self.has_texts || self.is_small()
    }

    fn is_embedded(&self) -> bool {
        self.recipe.model.checkpoint == Checkpoint::Embedded
    }

    /// How pictures are painted. Where they serve for losses alone, they are painted at the size of these.
    fn paint_plan(&self) -> PaintPlan {
        let (mut size, mut loss_size) = (self.recipe.data.resolution, self.loss_size());
        if self.budget == Budget::Quick {
            size = loss_size.of(size);
            loss_size = LossSize::Whole;
        }
        PaintPlan {
            size: [size.0 as usize, size.1 as usize],
            steps: if self.is_small() || self.budget == Budget::Quick { 12 } else { 20 },
            cfg_scale: 5.0,
            clip_skip: self.recipe.model.clip_skip as usize,
            loss_size,
        }
    }
}

impl<'a> Setting<'a> {
    /// Reads the images, and decides what is painted.
    ///
    /// # Errors
    /// When folders, images or networks cannot be read, and what `tell` returns.
    pub fn new(plan: Plan<'a>, easel: &Easel, tell: &mut Tell<'_>) -> Result<Self> {
        let recipe = plan.recipe;
        tell(News::Begins(Work::Reading))?;
        let counts = Counts { training: IMAGES[0], held_out: IMAGES[1], loss_size: plan.loss_size() };
        let material = Material::read(&easel.painter, &recipe.data, counts)?;
        let facts = RunFacts::of(recipe, TagReport::of(&material.captions, None).trigger.as_deref());
        let class = recipe.prior.trigger.as_ref().and_then(|trigger| trigger.class.as_deref());
        let words = Words { trigger: facts.trigger.as_deref(), class };
        let scenes = match plan.budget {
            Budget::Quick => Vec::new(),
            Budget::Normal => scenes(&material.captions, words, 4),
            Budget::Full => scenes(&material.captions, words, 8),
        };
        let unrelated = [words.trigger.unwrap_or_default(), words.class.unwrap_or_default()];
        let mut prompts = TextKind::of(&material.captions, plan.is_embedded()).prompts(&unrelated);
        prompts.truncate(PLAIN);
        let paint = plan.paint_plan();
        let shelf = match plan.checkpoint {
            Checkpoint::Embedded => plan.shelf.clone(),
            Checkpoint::File(path) => plan.shelf.on(&format!("{} {}", path.display(), stamp(path))),
        };
        Ok(Self { plan, facts, material, prompts, plain: Vec::new(), scenes, paint, shelf })
    }

    /// A setting for losses alone, with what one like it has found.
    pub fn of_found(plan: Plan<'a>, found: Found) -> Self {
        let Found { facts, material, plain } = found;
        let paint = plan.paint_plan();
        let prompts = Vec::new();
        Self { plan, facts, material, prompts, plain, scenes: Vec::new(), paint, shelf: Shelf::default() }
    }

    /// What it has found.
    pub fn into_found(self) -> Found {
        let Self { facts, material, plain, .. } = self;
        Found { facts, material, plain }
    }

    /// Passes through the UNet that it takes to measure so much here, about.
    pub fn passes(&self, amount: Amount) -> u64 {
        let Material { held_out, training, .. } = &self.material;
        let shown = if held_out.is_empty() { training.len() } else { held_out.len() };
        let timesteps = if self.plan.is_small() { ALL_TIMESTEPS.len() } else { FEW_TIMESTEPS.len() };
        let images = ((held_out.len() + training.len()) * timesteps) as u64;
        let few = (shown.min(FEW) * FEW_TIMESTEPS.len()) as u64;
        let plain = (self.prompts.len() * FEW_TIMESTEPS.len()) as u64;
        let alone = (self.prompts.len() * self.paint.steps) as u64 * self.paint.step_passes() + few;
        let Amount { snapshots, responses, galleries } = amount;
        let galleries = galleries * (self.studio().passes() + self.look_passes());
        alone + (1 + snapshots) * (images + plain + few) + responses * USUALLY_TRIED * few + galleries
    }

    /// Paints the prompts without trigger with the checkpoint alone, which comes before all else.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `tell` returns.
    pub fn paint_plain(&mut self, easel: &mut Easel, tell: &mut Tell<'_>) -> Result<()> {
        tell(News::Begins(Work::Plain))?;
        self.plain = self.paint.paint_plain(easel, &self.prompts, &self.shelf, tell)?;
        Ok(())
    }

    /// Meters of losses with the networks of `probe`.
    ///
    /// # Errors
    /// When the UNet cannot be read.
    pub fn meters<'m>(&self, probe: Probe<'m>) -> Result<Meters<'m>> {
        let Plan { recipe, seed, .. } = self.plan;
        let trained = recipe.diffusion.min_timestep as usize..recipe.diffusion.max_timestep as usize;
        let clip_skip = recipe.model.clip_skip as usize;
        let is_small = self.plan.is_small();
        let meter = |timesteps: &[usize]| -> Result<LossMeter<'m>> {
            let meter = LossMeter::new(probe, timesteps, trained.clone(), seed, clip_skip)?;
            Ok(meter.keeping_texts(self.plan.keeps_texts()))
        };
        let meter_of_all = meter(if is_small { &ALL_TIMESTEPS } else { &FEW_TIMESTEPS })?;
        Ok(Meters { probe, meter: meter_of_all, coarse: meter(&FEW_TIMESTEPS)?, clip_skip })
    }

    /// What snapshots are measured with.
    pub fn bench<'m>(&'m self, meters: &'m Meters<'m>) -> Bench<'m> {
        Bench {
            probe: meters.probe,
            material: &self.material,
            plain: &self.plain,
            meter: &meters.meter,
            coarse: &meters.coarse,
            clip_skip: meters.clip_skip,
            shelf: &self.shelf,
            trigger: self.plan.recipe.prior.trigger.as_ref().map(|trigger| trigger.words.as_str()),
        }
    }

    /// What paints the scenes.
    pub fn studio(&self) -> Studio<'_> {
        Studio { plan: &self.paint, scenes: &self.scenes, plain: &self.prompts, shelf: &self.shelf }
    }

    fn look_passes(&self) -> u64 {
        let pictures = (2 * self.scenes.len() + self.prompts.len()) as u64;
        pictures * LOOK_PASSES * self.paint.step_passes() / 2
    }

    fn eye<'e>(&'e self, easel: &'e Easel) -> Result<Eye<'e>> {
        let [width, height] = self.paint.size;
        let sight = Sight::new(&easel.painter, width.max(height), self.plan.encoder)?;
        Ok(Eye { painter: &easel.painter, sight })
    }

    /// What the checkpoint's own pictures are, and the set's.
    ///
    /// # Errors
    /// When a network cannot be read, and what `tell` returns.
    pub fn comparison(&self, easel: &mut Easel, tell: &mut Tell<'_>) -> Result<Comparison> {
        tell(News::Begins(Work::PaintingAlone))?;
        let base = self.studio().paint(easel, None, tell)?;
        tell(News::Begins(Work::Comparing))?;
        let comparison = Comparison::new(&self.eye(easel)?, &self.material, base, &self.plain)?;
        tell(News::Did(self.look_passes()))?;
        Ok(comparison)
    }

    /// Paints the scenes with a LoRA.
    ///
    /// # Errors
    /// As [`Studio::paint`].
    pub fn paint(&self, easel: &mut Easel, lora: Applied<'_>, tell: &mut Tell<'_>) -> Result<RawGallery> {
        self.studio().paint(easel, Some(lora), tell)
    }

    /// Looks at pictures that were painted with LoRAs, beside those of the checkpoint alone.
    ///
    /// # Errors
    /// When a network cannot be read, and what `tell` returns.
    pub fn look(
        &self,
        easel: &Easel,
        comparison: &Comparison,
        painted: Vec<RawGallery>,
        tell: &mut Tell<'_>,
    ) -> Result<Vec<(PictureMeasures, Gallery)>> {
        tell(News::Begins(Work::Comparing))?;
        let eye = self.eye(easel)?;
        let mut looked = Vec::new();
        for raw in painted {
            let (mut measures, gallery) = comparison.measure(&eye, raw)?;
            if self.plan.budget == Budget::Full {
                measures.tags = comparison.heed(&eye, &self.meters(easel.painter.probe())?.meter, &gallery)?;
            }
            looked.push((measures, gallery));
            tell(News::Did(self.look_passes()))?;
        }
        Ok(looked)
    }
}

/// Meters of losses, at many timesteps and at few.
#[derive(Debug)]
pub struct Meters<'m> {
    probe: Probe<'m>,
    meter: LossMeter<'m>,
    coarse: LossMeter<'m>,
    clip_skip: usize,
}
