//! One pass from noise to latents: a sampler, the UNet with guidance, and what is kept of a picture.

use anyhow::{Result, bail};
use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::{
    Answer, Call, GuidanceSkips, GuidedPart, Img2ImgSteps, KeptLatents, Levels, NoiseTable, Prediction, Run, Sampler,
    SamplerOptions, Scheduler, guide_by_parts, parts_alone,
};

use crate::control::Moment;
use crate::noise::{BrownianTree, ImageNoise, Source};
use crate::soft_blend::SoftBlend;
use crate::unet_call::UnetCall;

/// How far a pass is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// Calls of the network so far, this one included.
    pub done: usize,
    /// Calls that there will be, where that is known.
    pub total: Option<usize>,
    call: &'a Call,
    x: &'a Tensor<4>,
    guided: &'a Tensor<4>,
}

impl Progress<'_> {
    /// The denoised latents as they are foreseen now, for a preview.
    ///
    /// # Shapes
    /// - output: [1, 4, H, W]
    pub fn denoised(&self) -> Tensor<4> {
        self.call.denoised_of(self.guided.clone(), self.x.clone())
    }
}

/// Called after each call of the network; an error ends the pass.
pub type Watch<'a> = dyn FnMut(&Progress<'_>) -> Result<()> + 'a;

/// What a pass begins with.
#[derive(Debug, Clone)]
pub enum Start {
    /// Noise alone.
    Noise,
    /// The latents of a picture.
    Picture(Box<PictureStart>),
}

/// The latents of a picture, and what is done with them first.
#[derive(Debug, Clone)]
pub struct PictureStart {
    /// The latents, [1, 4, H, W].
    pub latents: Tensor<4>,
    /// How many steps are made.
    pub steps: Img2ImgSteps,
    /// Scales the first noise.
    pub noise_multiplier: f64,
    /// More noise on the picture.
    pub extra_noise: f64,
}

/// One pass.
pub struct Pass<'a> {
    /// The network and all that it is told.
    pub network: UnetCall<'a>,
    /// What it predicts.
    pub prediction: Prediction,
    /// The model's noise levels.
    pub table: &'a NoiseTable,
    /// The sampler.
    pub sampler: Sampler,
    /// How noise levels are spaced.
    pub scheduler: Scheduler,
    /// Steps, of a pass without a picture.
    pub steps: usize,
    /// The sampler's settings.
    pub options: &'a SamplerOptions,
    /// How closely the prompt is followed.
    pub cfg_scale: f64,
    /// When the negative prompt is left out.
    pub skips: GuidanceSkips,
    /// What it begins with.
    pub start: Start,
    /// What is kept of a picture.
    pub kept: Option<Kept>,
}

/// What is kept of a picture at each step.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Where the mask is not.
    Masked(Box<KeptLatents>),
    /// Blended softly.
    Soft(Box<SoftBlend>),
}

/// The random numbers of a pass.
#[derive(Debug)]
pub struct Randomness {
    /// The noise of the picture, draw by draw.
    pub noise: ImageNoise,
    /// The seed of the Brownian motion.
    pub seed: u64,
    /// Whose generator.
    pub source: Source,
    /// Latents' rows and columns.
    pub shape: [usize; 2],
    /// The first noise, if it is not the seed's.
    pub first: Option<Vec<f32>>,
}

impl Pass<'_> {
    /// Runs the pass.
    ///
    /// # Shapes
    /// - output: [1, 4, H, W]
    ///
    /// # Errors
    /// When the sampler cannot make so many steps, what is computed is not finite, or `watch` returns an error.
    pub fn run(&self, randomness: &mut Randomness, watch: &mut Watch<'_>) -> Result<Tensor<4>> {
        if let Start::Picture(picture) = &self.start
            && picture.steps.is_nothing()
        {
            return Ok(picture.latents.clone());
        }
        let levels = self.levels()?;
        let drawn = randomness.noise.next_draw();
        let first = tensor(randomness.first.take().unwrap_or(drawn), randomness.shape, self.network.device);
        let x = match &self.start {
            Start::Noise => levels.initial(first),
            Start::Picture(picture) => {
                let noise = first.mul_scalar(picture.noise_multiplier);
                levels.initial_of_picture(picture.latents.clone(), noise, picture.extra_noise)
            }
        };
        let total = self.sampler.calls(&levels);
        // What shares of the run count: its steps, twice as many with samplers of second order.
        let steps = self.total_steps();
        let mut done = 0;
        let mut model = |x: Tensor<4>, call: &Call| -> Result<Answer> {
            let answer = self.answer(x.clone(), call, steps)?;
            done += 1;
            watch(&Progress { done, total, call, x: &x, guided: &answer.guided })?;
            Ok(answer)
        };
        let Randomness { noise, seed, source, shape, .. } = randomness;
        let mut draw = || tensor(noise.next_draw(), *shape, self.network.device);
        let [lowest, highest] = levels.brownian_range().unwrap_or([0.0, 1.0]);
        let values = 4 * shape[0] * shape[1];
        let mut tree: Option<BrownianTree> = None;
        let mut brownian = |from: f32, to: f32| {
            let tree = tree.get_or_insert_with(|| BrownianTree::new(*source, *seed, values, lowest, highest));
            tensor(tree.noise(from, to), *shape, self.network.device)
        };
        let run = Run {
            levels: &levels,
            options: self.options,
            model: &mut model,
            noise: &mut draw,
            brownian: &mut brownian,
        };
        let latents = self.sampler.sample(x, run)?;
        Ok(match &self.kept {
            Some(Kept::Masked(kept)) => kept.blend(latents),
            Some(Kept::Soft(_)) | None => latents,
        })
    }

    /// Noise levels from where the pass begins.
    ///
    /// # Errors
    /// When the sampler cannot make so many steps.
    fn levels(&self) -> Result<Levels> {
        let (schedule, part) = match &self.start {
            Start::Noise => (self.steps, None),
            Start::Picture(picture) => (picture.steps.schedule, Some(picture.steps)),
        };
        let levels = self.sampler.levels(self.scheduler, self.table, schedule, self.options)?;
        Ok(match part {
            Some(steps) => levels.for_picture(steps),
            None => levels,
        })
    }

    /// The steps of the pass as the web UI counts them for its extensions and shares.
    fn total_steps(&self) -> usize {
        match &self.start {
            Start::Noise => self.steps,
            Start::Picture(picture) => picture.steps.encode + 1,
        }
    }

    /// The guided answer to one question of the sampler.
    ///
    /// # Errors
    /// When it is not finite.
    fn answer(&self, x: Tensor<4>, call: &Call, steps: usize) -> Result<Answer> {
        let x = match &self.kept {
            Some(Kept::Masked(kept)) => kept.before(call, x),
            Some(Kept::Soft(soft)) => soft.before(call, x),
            None => x,
        };
        let doubled = if self.sampler.is_second_order() { 2 * steps } else { steps };
        let with_negative = !self.skips.skips(call, doubled);
        let moment = Moment { call: call.number, counter: call.step, steps };
        let input = call.network_input(x.clone());
        let predictions = self.network.predict(&input, call.timestep, moment, with_negative);
        let mut parts = Vec::with_capacity(predictions.parts.len());
        for (part, output) in self.network.conditions.parts.iter().zip(predictions.parts) {
            let conditional = call.read(self.prediction, output, x.clone());
            parts.push(GuidedPart { conditional, weight: part.weight });
        }
        let negative = predictions.negative.map(|output| call.read(self.prediction, output, x.clone()));
        let guided = match &negative {
            Some(unconditional) => {
                guide_by_parts(unconditional.clone(), &parts, self.sampler.guidance_scale(self.cfg_scale))
            }
            None => parts_alone(&parts),
        };
        let guided = match &self.kept {
            Some(Kept::Masked(kept)) => kept.after(call, guided),
            Some(Kept::Soft(soft)) => soft.after(call, guided),
            None => guided,
        };
        // Where the negative prompt is left out, the prompt stands in for it.
        let unconditional = negative.or_else(|| parts.first().map(|part| part.conditional.clone()));
        check_finite(&guided, call)?;
        Ok(Answer { guided, unconditional })
    }
}

/// Refuses latents that are not numbers.
fn check_finite(latents: &Tensor<4>, call: &Call) -> Result<()> {
    let values: Vec<f32> = latents.clone().into_data().try_into_vec().expect("the networks compute in f32");
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    bail!(
        "at call {} of the network (noise level {:.3}) the latents are not numbers; lower the strength of the LoRAs or \
         --cfg_scale, or give --mixed_precision no",
        call.number + 1,
        call.sigma
    )
}

fn tensor(values: Vec<f32>, shape: [usize; 2], device: &burn::tensor::Device) -> Tensor<4> {
    let [rows, columns] = shape;
    Tensor::from_data(TensorData::new(values, [1, 4, rows, columns]), device)
}
