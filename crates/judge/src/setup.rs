//! What a run is measured by, as its recipe says: images, pictures of the checkpoint alone, timesteps.

use anyhow::Result;
use lorabake_generate::easel::{Easel, ModelFacts};
use lorabake_generate::open_model;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::probe::Probe;
use lorabake_generate::sample::picture_dtypes;
use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;

use crate::bench::Bench;
use crate::facts::RunFacts;
use crate::losses::{ALL_TIMESTEPS, FEW_TIMESTEPS, LossMeter};
use crate::material::{Counts, Material};
use crate::plain::{PaintPlan, PlainPicture, TextKind};
use crate::scenes::Words;
use crate::tags::TagReport;

/// Images that are looked at.
const COUNTS: Counts = Counts { training: 8, held_out: 12 };
/// Pictures of other things.
const PLAIN: usize = 4;
/// Guidance that does not hide what a LoRA does.
const CFG_SCALE: f64 = 5.0;

/// What a run is measured by.
#[derive(Debug)]
pub struct Setup {
    /// Its images.
    pub material: Material,
    /// Pictures of the checkpoint alone.
    pub plain: Vec<PlainPicture>,
    /// How pictures are painted.
    pub plan: PaintPlan,
    /// What of its recipe matters.
    pub facts: RunFacts,
    /// What the trigger stands for.
    pub class: Option<String>,
    /// Pictures are so small that much can be measured.
    pub is_small: bool,
    /// The trigger, if the recipe names it.
    trigger: Option<String>,
    /// Timesteps that are trained.
    trained: std::ops::Range<usize>,
    clip_skip: usize,
}

/// The checkpoint that a run was trained on, or is to be.
///
/// # Errors
/// When it cannot be read, or is of no family that we know.
pub fn easel(recipe: &Recipe) -> Result<Easel> {
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

/// Meters of losses, at many timesteps and at few.
#[derive(Debug)]
pub struct Meters<'a> {
    /// At many.
    pub meter: LossMeter<'a>,
    coarse: LossMeter<'a>,
}

impl Setup {
    /// Reads the images of `recipe`, and paints pictures of the checkpoint alone.
    ///
    /// # Errors
    /// When folders, images or the checkpoint cannot be read, and what `done` returns, which is told of each picture.
    pub fn of(recipe: &Recipe, easel: &mut Easel, done: &mut dyn FnMut(usize) -> Result<()>) -> Result<Self> {
        let (width, height) = recipe.data.resolution;
        let is_small = width * height < 256 * 256;
        let is_embedded = recipe.model.checkpoint == Checkpoint::Embedded;
        let clip_skip = recipe.model.clip_skip as usize;
        easel.painter.hold_text_encoders()?;
        let material = Material::read(&easel.painter, &recipe.data, COUNTS)?;
        let facts = RunFacts::of(recipe, TagReport::of(&material.captions, None).trigger.as_deref());
        let trigger = recipe.prior.trigger.as_ref();
        let class = trigger.and_then(|trigger| trigger.class.clone());
        let steps = if is_small { 12 } else { 20 };
        let plan = PaintPlan { size: [width as usize, height as usize], steps, cfg_scale: CFG_SCALE, clip_skip };
        let unrelated = [facts.trigger.as_deref().unwrap_or_default(), class.as_deref().unwrap_or_default()];
        let prompts = TextKind::of(&material.captions, is_embedded).prompts(&unrelated);
        let plain = plan.paint_plain(easel, &prompts[..prompts.len().min(PLAIN)], done)?;
        Ok(Self {
            material,
            plain,
            plan,
            facts,
            class,
            is_small,
            trigger: trigger.map(|trigger| trigger.words.clone()),
            trained: recipe.diffusion.min_timestep as usize..recipe.diffusion.max_timestep as usize,
            clip_skip,
        })
    }

    /// What calls the LoRA up, and what that stands for.
    pub fn words(&self) -> Words<'_> {
        Words { trigger: self.facts.trigger.as_deref(), class: self.class.as_deref() }
    }

    /// Meters with the networks of `probe`, and noise of `seed`.
    ///
    /// # Errors
    /// When the UNet cannot be read.
    pub fn meters<'a>(&self, probe: Probe<'a>, seed: u64) -> Result<Meters<'a>> {
        let many: &[usize] = if self.is_small { &ALL_TIMESTEPS } else { &FEW_TIMESTEPS };
        let meter = |timesteps| LossMeter::new(probe, timesteps, self.trained.clone(), seed, self.clip_skip);
        Ok(Meters { meter: meter(many)?, coarse: meter(&FEW_TIMESTEPS)? })
    }

    /// A bench with these meters.
    pub fn bench<'a>(&'a self, probe: Probe<'a>, meters: &'a Meters<'a>) -> Bench<'a> {
        Bench {
            probe,
            material: &self.material,
            plain: &self.plain,
            meter: &meters.meter,
            coarse: &meters.coarse,
            clip_skip: self.clip_skip,
            trigger: self.trigger.as_deref(),
        }
    }
}
