//! Settings of the way from noise to latents.

use super::super::python::Value;
use super::{count, seed, set, text};

/// Steps, sampler, seed, and what acts with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplingSettings {
    /// Sampling steps.
    pub steps: Option<usize>,
    /// The sampler as it is written; in old texts its scheduler is a part of the name.
    pub sampler: Option<String>,
    /// The scheduler's label.
    pub scheduler: Option<String>,
    /// Guidance scale.
    pub cfg_scale: Option<f64>,
    /// Guidance scale of the negative prompt, if it has one of its own.
    pub negative_scale: Option<f64>,
    /// The picture's seed.
    pub seed: Option<u64>,
    /// A seed that is mixed in.
    pub variation_seed: Option<u64>,
    /// How much of it, 0 to 1.
    pub variation_strength: Option<f64>,
    /// Pixels of the picture whose noise is resized.
    pub seed_resize_width: Option<usize>,
    /// Pixels of the picture whose noise is resized.
    pub seed_resize_height: Option<usize>,
    /// ENSD: what is added to the seed after the first draw.
    pub seed_delta: Option<i64>,
    /// Where noise comes from: GPU, CPU or NV.
    pub rng: Option<String>,
    /// How much noise k-diffusion's samplers add.
    pub eta: Option<f64>,
    /// How much noise DDIM adds.
    pub eta_ddim: Option<f64>,
    /// `Sigma churn`.
    pub churn: Option<f64>,
    /// `Sigma tmin`: churn acts from this noise level on.
    pub churn_from: Option<f64>,
    /// `Sigma tmax`: churn acts up to this noise level; 0 = always.
    pub churn_to: Option<f64>,
    /// `Sigma noise`: scale of the noise that churn adds.
    pub churn_noise: Option<f64>,
    /// Lowest noise level of the schedule; 0 = the model's.
    pub sigma_min: Option<f64>,
    /// Highest noise level of the schedule; 0 = the model's.
    pub sigma_max: Option<f64>,
    /// Curvature of the schedule; 0 = the scheduler's own.
    pub rho: Option<f64>,
    /// First parameter of the Beta scheduler.
    pub beta_alpha: Option<f64>,
    /// Second parameter of the Beta scheduler.
    pub beta_beta: Option<f64>,
    /// Whether the noise level before the last is left out.
    pub discard_penultimate: Option<bool>,
    /// Whether noise is scaled as sgm does.
    pub sgm_noise_multiplier: Option<bool>,
    /// `Noise Schedule`, such as `Zero Terminal SNR`.
    pub noise_schedule: Option<String>,
    /// Whether the noise table is rounded to 16 bits, as before 1.7.
    pub downcast_alphas: Option<bool>,
    /// Below this noise level every other call leaves the negative prompt out; 0 = never.
    pub negative_guidance_sigma: Option<f64>,
    /// Whether it is left out at all those calls.
    pub negative_guidance_all: Option<bool>,
    /// Share of the steps from the beginning that leave it out.
    pub skip_early_cfg: Option<f64>,
    /// Scale of the first noise of img2img.
    pub noise_multiplier: Option<f64>,
    /// Noise that is added to what img2img begins with.
    pub extra_noise: Option<f64>,
    /// UniPC's variant, `bh1`, `bh2` or `vary_coeff`.
    pub unipc_variant: Option<String>,
    /// How UniPC's steps are spaced.
    pub unipc_skip_type: Option<String>,
    /// UniPC's order.
    pub unipc_order: Option<usize>,
    /// Whether UniPC's last steps have a lower order.
    pub unipc_lower_order_final: Option<bool>,
}

impl SamplingSettings {
    /// Whether neither a scheduler is named nor the sampler's name holds one, for samplers that changed theirs in 1.9.
    pub(super) fn has_no_schedule(&self) -> bool {
        self.scheduler.is_none() && self.sampler.as_deref().is_some_and(is_plain)
    }

    /// Takes over a setting; `false` if it is none of these, or its value is not what it needs.
    pub(super) fn take(&mut self, key: &str, value: &Value) -> bool {
        match key {
            "Steps" => set(&mut self.steps, count(value)),
            "Sampler" => set(&mut self.sampler, text(value)),
            "Schedule type" => set(&mut self.scheduler, text(value)),
            "CFG scale" => set(&mut self.cfg_scale, value.number()),
            "Negative CFG scale" => set(&mut self.negative_scale, value.number()),
            "Seed" => set(&mut self.seed, seed(value)),
            "Variation seed" => set(&mut self.variation_seed, seed(value)),
            "Variation seed strength" => set(&mut self.variation_strength, value.number()),
            "Seed resize from-1" => set(&mut self.seed_resize_width, count(value)),
            "Seed resize from-2" => set(&mut self.seed_resize_height, count(value)),
            "ENSD" | "Eta noise seed delta" => set(&mut self.seed_delta, value.whole()),
            "RNG" => set(&mut self.rng, text(value)),
            "Eta" => set(&mut self.eta, value.number()),
            "Eta DDIM" => set(&mut self.eta_ddim, value.number()),
            "Sigma churn" => set(&mut self.churn, value.number()),
            "Sigma tmin" => set(&mut self.churn_from, value.number()),
            "Sigma tmax" => set(&mut self.churn_to, value.number()),
            "Sigma noise" => set(&mut self.churn_noise, value.number()),
            _ => self.take_schedule(key, value),
        }
    }

    fn take_schedule(&mut self, key: &str, value: &Value) -> bool {
        match key {
            "Schedule min sigma" => set(&mut self.sigma_min, value.number()),
            "Schedule max sigma" => set(&mut self.sigma_max, value.number()),
            "Schedule rho" => set(&mut self.rho, value.number()),
            "Beta schedule alpha" => set(&mut self.beta_alpha, value.number()),
            "Beta schedule beta" => set(&mut self.beta_beta, value.number()),
            "Discard penultimate sigma" => set(&mut self.discard_penultimate, value.flag()),
            // The second is how the web UI wrote it for long.
            "SGM noise multiplier" | "SGM noise multplier" => set(&mut self.sgm_noise_multiplier, value.flag()),
            "Noise Schedule" => set(&mut self.noise_schedule, text(value)),
            "NGMS" => set(&mut self.negative_guidance_sigma, value.number()),
            "NGMS all steps" => set(&mut self.negative_guidance_all, value.flag()),
            "Skip Early CFG" => set(&mut self.skip_early_cfg, value.number()),
            "Noise multiplier" => set(&mut self.noise_multiplier, value.number()),
            "Extra noise" => set(&mut self.extra_noise, value.number()),
            "UniPC variant" => set(&mut self.unipc_variant, text(value)),
            "UniPC skip type" => set(&mut self.unipc_skip_type, text(value)),
            "UniPC order" => set(&mut self.unipc_order, count(value)),
            "UniPC lower order final" => set(&mut self.unipc_lower_order_final, value.flag()),
            _ => false,
        }
    }
}

/// Whether a sampler's name says nothing of its schedule although it has another one since 1.9.
pub(super) fn is_plain(name: &str) -> bool {
    let changed = name.starts_with("DPM++") || name.starts_with("DPM2");
    let named = ["Karras", "Exponential", "Uniform", "Automatic"].iter().any(|label| name.ends_with(label));
    changed && !named
}
