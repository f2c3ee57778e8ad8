//! Options of the commands that paint for the way from noise to latents.

use lorabake_diffusion::{SamplerChoice, Scheduler};
use lorabake_generate::noise::Source;
use lorabake_generate::png_text::PictureSettings;

/// Sampler, noise levels, guidance and seeds.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Sampling steps: more take longer and may look finer. [default: 20]
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: Option<u16>,
    /// How closely the prompt is followed; 1 = as the prompt alone has it. [default: 7]
    #[arg(long, value_name = "SCALE", value_parser = super::values::scale)]
    cfg_scale: Option<f64>,
    /// How far the picture is led away from the negative prompt, apart from --cfg_scale: guidance starts from the empty prompt
    /// then, which takes half as long again. [default: as --cfg_scale]
    #[arg(long, value_name = "SCALE", value_parser = super::values::scale)]
    negative_scale: Option<f64>,
    /// Where randomness starts: the same seed and options give the same picture. [default: drawn at random]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::seed)]
    seed: Option<u32>,
    /// Way from noise to picture by the web UI's name or sd-scripts': "DPM++ 2M", "DPM++ SDE", "Euler a", euler_a, DDIM,
    /// UniPC and so on; docs/pictures.md lists them. [default: DPM++ 2M]
    #[arg(long, value_name = "NAME")]
    sampler: Option<SamplerChoice>,
    /// How noise levels are spaced: Automatic (the sampler's own), Uniform, Karras, Exponential, Polyexponential,
    /// "SGM Uniform", "KL Optimal", "Align Your Steps", Simple, Normal, DDIM or Beta. [default: Automatic]
    #[arg(long, value_name = "NAME")]
    scheduler: Option<Scheduler>,
    /// Whose random numbers: nv (an NVIDIA card's, the web UI's default there) or cpu. [default: nv]
    #[arg(long, value_name = "nv|cpu")]
    rng: Option<Source>,
    /// Seed of a variation; it acts with --subseed_strength. [default: drawn at random]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::seed)]
    subseed: Option<u32>,
    /// How much of the variation's noise there is, from 0 to 1. [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    subseed_strength: Option<f64>,
    /// Size of the picture whose composition is wanted at another size.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = super::values::size)]
    seed_resize_from: Option<[usize; 2]>,
    /// Added to the seed for all noise but the first (ENSD); 31337 for pictures of NovelAI's kind. [default: 0]
    #[arg(long, value_name = "NUMBER")]
    eta_noise_seed_delta: Option<u32>,
    /// Share of noise that samplers add on their way: 0 is none. [default: 1, for DDIM 0]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    eta: Option<f64>,
    /// Churn of Euler, Heun and DPM2. [default: 0]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::number)]
    s_churn: Option<f64>,
    /// Lowest noise level with churn. [default: 0]
    #[arg(long, value_name = "SIGMA", value_parser = super::values::number)]
    s_tmin: Option<f64>,
    /// Highest noise level with churn; 0 = all. [default: 0]
    #[arg(long, value_name = "SIGMA", value_parser = super::values::number)]
    s_tmax: Option<f64>,
    /// Strength of the noise that is added. [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::number)]
    s_noise: Option<f64>,
    /// Lowest noise level of the spacing; 0 = the model's. [default: 0]
    #[arg(long, value_name = "SIGMA", value_parser = super::values::number)]
    sigma_min: Option<f64>,
    /// Highest noise level of the spacing; 0 = the model's. [default: 0]
    #[arg(long, value_name = "SIGMA", value_parser = super::values::number)]
    sigma_max: Option<f64>,
    /// Curve of Karras and Polyexponential; 0 = their own. [default: 0]
    #[arg(long, value_name = "RHO", value_parser = super::values::number)]
    rho: Option<f64>,
    /// Leaves out the noise level before the last with every sampler.
    #[arg(long)]
    always_discard_next_to_last_sigma: bool,
    /// Share of the calls at the beginning that do without the negative prompt. [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    skip_early_cfg: Option<f64>,
    /// Noise level below which every other call does without the negative prompt, which is faster (NGMS). [default: 0]
    #[arg(long, value_name = "SIGMA", value_parser = super::values::number)]
    s_min_uncond: Option<f64>,
}

impl SamplingArgs {
    /// Puts what was typed into `settings`.
    pub fn put(&self, settings: &mut PictureSettings) {
        let sampling = &mut settings.sampling;
        sampling.steps = self.steps.map(usize::from);
        sampling.cfg_scale = self.cfg_scale;
        sampling.negative_scale = self.negative_scale;
        sampling.seed = self.seed.map(u64::from);
        if let Some(choice) = self.sampler {
            sampling.sampler = Some(choice.sampler.to_string());
            sampling.scheduler = Some(choice.scheduler.to_string());
        }
        if let Some(scheduler) = self.scheduler {
            sampling.scheduler = Some(scheduler.to_string());
        }
        sampling.rng = self.rng.map(|rng| rng.to_string());
        sampling.variation_seed = self.subseed.map(u64::from);
        sampling.variation_strength = self.subseed_strength;
        sampling.seed_resize_width = self.seed_resize_from.map(|size| size[0]);
        sampling.seed_resize_height = self.seed_resize_from.map(|size| size[1]);
        sampling.seed_delta = self.eta_noise_seed_delta.map(i64::from);
        sampling.eta = self.eta;
        sampling.eta_ddim = self.eta;
        sampling.churn = self.s_churn;
        sampling.churn_from = self.s_tmin;
        sampling.churn_to = self.s_tmax;
        sampling.churn_noise = self.s_noise;
        sampling.sigma_min = self.sigma_min;
        sampling.sigma_max = self.sigma_max;
        sampling.rho = self.rho;
        sampling.discard_penultimate = self.always_discard_next_to_last_sigma.then_some(true);
        sampling.skip_early_cfg = self.skip_early_cfg;
        sampling.negative_guidance_sigma = self.s_min_uncond;
    }

    /// Whether a spacing was typed.
    pub fn has_scheduler(&self) -> bool {
        self.scheduler.is_some()
    }

    /// Whether churn was typed.
    pub fn has_churn(&self) -> bool {
        self.s_churn.is_some() || self.s_tmin.is_some() || self.s_tmax.is_some()
    }
}
