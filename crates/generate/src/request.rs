//! What a picture is asked to be. Names are those of the AUTOMATIC1111 web UI's interface and API.

use std::path::PathBuf;

use lorabake_diffusion::{Sampler, SamplerOptions, Scheduler, StepRule};
use lorabake_pixels::{Gray, Rgb};

use crate::conditioning::TextOptions;
use crate::conditioning::length::PadPrompts;
use crate::control::ControlUnit;
use crate::hires::{Enlarge, LatentUpscaler};
use crate::inpaint::Inpaint;
use crate::inpaint::soft::SoftInpainting;
use crate::nets::FoundNetwork;
use crate::noise::Source;
use crate::resize_mode::ResizeMode;
use crate::upscale::Resampler;

/// Pixels that a picture may have on a side.
pub const SIDES: std::ops::RangeInclusive<u32> = 64..=4096;
/// The strongest guidance.
pub const LARGEST_SCALE: f64 = 100.0;

/// A picture to be painted.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it should show: text without tags and comments.
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: String,
    /// LoRAs and hypernetworks, in the order in which they act.
    pub networks: Vec<FoundNetwork>,
    /// How the texts are read.
    pub text: TextOptions,
    /// Whether the prompt's schedules have the meaning that they had before version 1.6 ("Old prompt editing timelines").
    pub old_prompt_editing: bool,
    /// What is done about a prompt and a negative prompt of unequal length.
    pub pad_prompts: PadPrompts,
    /// Width and height in pixels, multiples of 8.
    pub size: [usize; 2],
    /// The way from noise to latents.
    pub sampling: Sampling,
    /// Where randomness starts.
    pub seed: Seeds,
    /// Unit normal first noise, (4, height / 8, width / 8) row-major, instead of the seed's.
    pub noise: Option<Vec<f32>>,
    /// Convolutions wrap around, so that the picture's edges fit together.
    pub tiling: bool,
    /// The picture to begin with (img2img), or none (txt2img).
    pub init: Option<Init>,
    /// A second pass at a larger size.
    pub hires: Option<Hires>,
    /// ControlNets, which act together.
    pub control: Vec<ControlUnit>,
}

/// The way from noise to latents.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The sampler.
    pub sampler: Sampler,
    /// How noise levels are spaced.
    pub scheduler: Scheduler,
    /// Sampling steps.
    pub steps: usize,
    /// How closely the prompt is followed.
    pub cfg_scale: f64,
    /// How far it is led away from the negative prompt, if not as far as to the prompt: guidance starts from the empty prompt
    /// then (sd-scripts' `--negative_scale`).
    pub negative_scale: Option<f64>,
    /// Churn and the rest; eta is given by family below.
    pub options: SamplerOptions,
    /// Eta of k-diffusion's samplers.
    pub eta: Option<f64>,
    /// Eta of the DDIM family.
    pub eta_ddim: Option<f64>,
    /// Noise added to the picture that a pass begins with ("Extra noise").
    pub extra_noise: f64,
    /// Whether noise levels are rounded to 16 bits, as in versions before 1.7.
    pub downcast_alphas: bool,
    /// Whether nothing of the picture is left at the last noise level ("Noise Schedule: Zero Terminal SNR").
    pub zero_terminal_snr: bool,
    /// Share of the steps at the beginning that do without guidance ("Ignore negative prompt during early sampling").
    pub skip_early_cfg: f64,
    /// "Negative Guidance minimum sigma": below it every other step does without the negative prompt.
    pub s_min_uncond: f64,
    /// … and all steps, not every other.
    pub s_min_uncond_all: bool,
}

impl Sampling {
    /// Steps over which schedules of prompts and networks are laid out.
    pub fn prompt_steps(&self) -> usize {
        if self.sampler.is_second_order() { 2 * self.steps } else { self.steps }
    }

    /// The weight of the negative prompt beside the prompt, if it has a scale of its own; without guidance it has none.
    pub fn negative_weight(&self) -> Option<f64> {
        let scale = self.negative_scale?;
        if self.cfg_scale > 1.0 { Some(-scale / self.cfg_scale) } else { None }
    }
}

/// Where randomness starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seeds {
    /// Seed of the initial noise, and of the noise that the sampler adds on its way.
    pub seed: u64,
    /// Seed of the variation.
    pub subseed: u64,
    /// How much of the variation's noise there is, 0 to 1.
    pub subseed_strength: f64,
    /// Width and height in pixels of the picture whose composition is wanted at another size.
    pub resize_from: Option<[usize; 2]>,
    /// What is added to the seed for all noise after the first ("eta noise seed delta").
    pub eta_noise_seed_delta: u64,
    /// Whose generator.
    pub source: Source,
}

/// The picture to begin with.
#[derive(Debug, Clone)]
pub struct Init {
    /// Its pixels.
    pub image: Rgb,
    /// How it comes to the wanted size.
    pub resize_mode: ResizeMode,
    /// How much is changed, 0 to 1.
    pub denoising_strength: f64,
    /// What the number of steps means.
    pub step_rule: StepRule,
    /// Scales the initial noise.
    pub noise_multiplier: f64,
    /// Whether the colours of the result are matched to the picture's.
    pub color_correction: bool,
    /// How much an inpainting model sees of what the mask hides: 1 = nothing.
    pub conditional_mask_weight: f64,
    /// What is painted anew, if not all.
    pub inpaint: Option<InpaintRequest>,
}

/// A part of the picture that is painted anew.
#[derive(Debug, Clone)]
pub struct InpaintRequest {
    /// White = painted anew; as large as the picture.
    pub mask: Gray,
    /// How.
    pub settings: Inpaint,
    /// Whether its edge is blended softly at every step, and how.
    pub soft: Option<SoftInpainting>,
}

/// A second pass at a larger size (hires fix).
#[derive(Debug, Clone)]
pub struct Hires {
    /// The size wanted.
    pub size: Enlarge,
    /// How latents or pixels are enlarged.
    pub upscaler: HiresUpscaler,
    /// Steps of the second pass; 0 = as many as in the first.
    pub steps: usize,
    /// How much is changed, 0 to 1.
    pub denoising_strength: f64,
    /// The second pass's prompt, if it is another one.
    pub prompt: Option<String>,
    /// The second pass's negative prompt, if it is another one.
    pub negative_prompt: Option<String>,
    /// Networks of the second pass's prompt, if it is another one.
    pub networks: Option<Vec<FoundNetwork>>,
    /// The second pass's sampler, if it is another one.
    pub sampler: Option<Sampler>,
    /// The second pass's spacing, if it is another one.
    pub scheduler: Option<Scheduler>,
}

/// How the first pass is enlarged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HiresUpscaler {
    /// Its latents.
    Latent(LatentUpscaler),
    /// Its pixels, without a network.
    Resampler(Resampler),
    /// Its pixels, by the network in this file.
    Net(PathBuf),
}

/// A finished picture.
#[derive(Debug, Clone)]
pub struct Painted {
    /// Its pixels.
    pub image: Rgb,
    /// As the VAE gave it, before clamping to −1..=1: (3, height, width) row-major.
    pub values: Vec<f32>,
    /// The last latents, (4, height / 8, width / 8) row-major.
    pub latent: Vec<f32>,
}
