//! From a [`Request`] to a [`Painted`] picture: the passes in their order.

use std::sync::Arc;

use anyhow::{Result, bail};
use burn::tensor::Tensor;
use lorabake_diffusion::{GuidanceSkips, NoiseTable, Sampler, SamplerOptions, Scheduler};

use crate::conditioning::length::PadPrompts;
use crate::conditioning::{Conditions, Encoders, KeptKey, PassTexts};
use crate::control::ActiveControl;
use crate::latent_shape::latent_shape;
use crate::nets::Nets;
use crate::noise::{ImageNoise, NoiseSeeds, SeedResize, Variation};
use crate::painter::Painter;
use crate::pass::{Kept, Pass, Randomness, Start, Watch};
use crate::prompt::networks;
use crate::prompt::schedule::Timeline;
use crate::request::{Painted, Request};
use crate::unet_call::{Padding, UnetCall};

/// What a pass is given that differs between passes.
pub(crate) struct PassPlan<'a> {
    /// The texts, prompt and negative prompt.
    pub texts: [&'a str; 2],
    /// The networks.
    pub nets: &'a Nets,
    /// Which pass it is.
    pub which: networks::Pass,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The sampler.
    pub sampler: Sampler,
    /// How noise levels are spaced.
    pub scheduler: Scheduler,
    /// Steps as the user gave them.
    pub steps: usize,
    /// What it begins with.
    pub start: Start,
    /// What is kept of a picture.
    pub kept: Option<Kept>,
    /// What an inpainting model is given beside latents, [1, 5, H, W].
    pub masked: Option<Tensor<4>>,
    /// ControlNets with their pictures.
    pub control: Vec<ActiveControl>,
}

impl Painter {
    /// Paints `request` with the networks `nets`, and `hires_nets` if the second pass has others.
    ///
    /// # Errors
    /// When the request contradicts itself, what is computed is not finite, or `watch` returns an error.
    pub fn paint(
        &self,
        request: &Request,
        nets: &Nets,
        hires_nets: Option<&Nets>,
        watch: &mut Watch<'_>,
    ) -> Result<Painted> {
        let problems = request.sampling.options.problems();
        if let Some(problem) = problems.first() {
            bail!("{problem}");
        }
        let painted = match &request.init {
            Some(init) => self.img2img(request, init, nets, watch),
            None => self.paint_from_noise(request, nets, hires_nets, watch),
        };
        // Weights that are not numbers are named rather than what comes of them.
        match (painted, self.bundle.fault()) {
            (Err(_), Some(fault)) => Err(fault.into()),
            (painted, _) => painted,
        }
    }

    fn paint_from_noise(
        &self,
        request: &Request,
        nets: &Nets,
        hires_nets: Option<&Nets>,
        watch: &mut Watch<'_>,
    ) -> Result<Painted> {
        let latents = self.txt2img(request, nets, watch)?;
        match &request.hires {
            Some(hires) => self.hires(request, hires, latents, hires_nets.unwrap_or(nets), watch),
            None => self.finish(latents),
        }
    }

    /// Decodes the last latents.
    pub(crate) fn finish(&self, latents: Tensor<4>) -> Result<Painted> {
        let decoded = self.decode(latents.clone())?;
        Ok(Painted { image: decoded.image, values: decoded.values, latent: to_f32_vec(latents) })
    }

    /// The random numbers of a pass of `size` [width, height].
    pub(crate) fn randomness(&self, request: &Request, size: [usize; 2]) -> Result<Randomness> {
        let shape = latent_shape(size)?;
        let seeds = &request.seed;
        let variation = (seeds.subseed_strength > 0.0)
            .then_some(Variation { seed: seeds.subseed, strength: seeds.subseed_strength });
        let picture = NoiseSeeds { seed: seeds.seed, variation };
        let mut noise = ImageNoise::new(seeds.source, [4, shape[0], shape[1]], vec![picture])
            .with_seed_delta(seeds.eta_noise_seed_delta);
        if let Some([width, height]) = seeds.resize_from {
            noise = noise.resized_from(SeedResize { height: height / 8, width: width / 8 });
        }
        let first = if size == request.size { request.noise.clone() } else { None };
        let values = 4 * shape[0] * shape[1];
        if let Some(given) = first.as_ref().map(Vec::len).filter(|given| *given != values) {
            bail!("--latent has {given} values, but {} × {} pixels need {values}", size[0], size[1]);
        }
        Ok(Randomness { noise, seed: seeds.seed, source: seeds.source, shape, first })
    }

    /// The first noise of the seed itself.
    pub(crate) fn plain_noise(&self, request: &Request) -> Result<Vec<f32>> {
        let shape = latent_shape(request.size)?;
        let seeds = NoiseSeeds { seed: request.seed.seed, variation: None };
        Ok(ImageNoise::new(request.seed.source, [4, shape[0], shape[1]], vec![seeds]).next_draw())
    }

    /// The noise levels of the model as `request` wants them.
    fn table_for(&self, request: &Request) -> NoiseTable {
        let mut table = self.table.clone();
        if request.sampling.downcast_alphas {
            table = table.downcast();
        }
        if request.sampling.zero_terminal_snr && !table.ends_in_noise() {
            table = table.zero_terminal_snr();
        }
        table
    }

    /// The encoded texts of a pass, which may be those of an earlier picture.
    fn conditions(&self, request: &Request, plan: &PassPlan<'_>, encoders: &Encoders<'_>) -> Result<Arc<Conditions>> {
        let first = request.sampling.prompt_steps();
        let hires_steps = match plan.which {
            networks::Pass::First => None,
            networks::Pass::Hires { .. } => {
                Some(if plan.sampler.is_second_order() { 2 * plan.steps } else { plan.steps })
            }
        };
        let timeline = Timeline { steps: first, hires_steps, old: request.old_prompt_editing };
        let negative_weight = request.sampling.negative_weight();
        let pass = PassTexts { texts: plan.texts, timeline, size: plan.size, negative_weight };
        let key = KeptKey::new(plan.nets.text_key(), pass, request.text);
        self.kept_texts.borrow_mut().get_or_make(key, || Conditions::of(encoders, pass))
    }

    /// Runs one pass.
    pub(crate) fn run(
        &self,
        request: &Request,
        plan: PassPlan<'_>,
        randomness: &mut Randomness,
        watch: &mut Watch<'_>,
    ) -> Result<Tensor<4>> {
        self.bring_unet()?;
        let encoders = Encoders {
            bundle: &self.bundle,
            adapters: plan.nets.attached(),
            embeddings: &plan.nets.embeddings,
            options: request.text,
            device: &self.device,
        };
        let conditions = self.conditions(request, &plan, &encoders)?;
        let padding = padding(&encoders, request.pad_prompts, plan.size)?;
        let network = UnetCall {
            unet: &self.bundle.unet,
            threads: &self.threads,
            device: &self.device,
            conditions: &conditions,
            nets: plan.nets,
            pass: plan.which,
            control: &plan.control,
            masked: plan.masked,
            padding,
        };
        let sampling = &request.sampling;
        let table = self.table_for(request);
        let eta = if plan.sampler.goes_by_timesteps() { sampling.eta_ddim } else { sampling.eta };
        let options = SamplerOptions { eta, ..sampling.options };
        let pass = Pass {
            network,
            prediction: self.prediction,
            table: &table,
            sampler: plan.sampler,
            scheduler: plan.scheduler,
            steps: plan.steps,
            options: &options,
            cfg_scale: sampling.cfg_scale,
            skips: GuidanceSkips {
                early: sampling.skip_early_cfg,
                min_sigma: sampling.s_min_uncond,
                min_sigma_all: sampling.s_min_uncond_all,
            },
            start: plan.start,
            kept: plan.kept,
        };
        pass.run(randomness, watch)
    }
}

/// How both sides are brought to one length, if they are.
fn padding(encoders: &Encoders<'_>, option: PadPrompts, size: [usize; 2]) -> Result<Option<Padding>> {
    if option == PadPrompts::Off {
        return Ok(None);
    }
    let empty = encoders.encode(&[""], size, false)?.remove(0).context;
    Ok(Some(Padding { option, empty }))
}

pub(crate) fn to_f32_vec(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("the networks compute in f32")
}
