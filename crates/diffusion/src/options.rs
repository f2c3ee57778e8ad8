//! What may be set of samplers and schedulers beside their names: the web UI's "Sampler parameters".

use crate::spacing::beta_quantile::BetaShape;

/// Settings of a run. The default is the web UI's.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// How much fresh noise ancestral and SDE samplers add, 0 to 1; none: 1, and 0 for the DDIM family.
    pub eta: Option<f64>,
    /// How much noise Euler, Heun and DPM2 add before each step ("Sigma churn").
    pub s_churn: f64,
    /// The smallest noise level at which they do ("Sigma tmin").
    pub s_tmin: f64,
    /// The largest noise level at which they do ("Sigma tmax"); none: no limit.
    pub s_tmax: Option<f64>,
    /// Factor of added noise ("Sigma noise").
    pub s_noise: f64,
    /// The scheduler's smallest level above 0; none: the model's.
    pub sigma_min: Option<f64>,
    /// The scheduler's largest level; none: the model's.
    pub sigma_max: Option<f64>,
    /// ρ of "Karras" and "Polyexponential"; none: 7 and 1.
    pub rho: Option<f64>,
    /// The quantiles of "Beta".
    pub beta: BetaShape,
    /// Leave out the level before the last with all samplers, not only with those that want it so.
    pub always_discard: bool,
    /// Strength of the first noise as in Stability AI's own program: √(1 + σ²) instead of σ.
    pub sgm_noise_multiplier: bool,
    /// Of UniPC.
    pub unipc: UniPcOptions,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            eta: None,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: None,
            s_noise: 1.0,
            sigma_min: None,
            sigma_max: None,
            rho: None,
            beta: BetaShape { alpha: 0.6, beta: 0.6 },
            always_discard: false,
            sgm_noise_multiplier: false,
            unipc: UniPcOptions::default(),
        }
    }
}

impl SamplerOptions {
    /// The same with the smallest and the largest level that the web UI's schedulers had at first ("Use old karras
    /// scheduler sigmas").
    pub fn old_karras_sigmas(self) -> Self {
        Self { sigma_min: Some(0.1), sigma_max: Some(10.0), ..self }
    }
}

/// Settings of UniPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UniPcOptions {
    /// How its coefficients are found.
    pub variant: UniPcVariant,
    /// How its times are spaced.
    pub skip: UniPcSkip,
    /// How many answers a step goes by.
    pub order: usize,
    /// Fewer answers in the last steps.
    pub lower_order_final: bool,
}

impl Default for UniPcOptions {
    fn default() -> Self {
        Self { variant: UniPcVariant::Bh1, skip: UniPcSkip::TimeUniform, order: 3, lower_order_final: true }
    }
}

/// How UniPC finds its coefficients (the paper's B(h)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniPcVariant {
    /// B(h) = h.
    Bh1,
    /// B(h) = e^h − 1.
    Bh2,
    /// Varying coefficients.
    VaryCoeff,
}

/// How UniPC spaces its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniPcSkip {
    /// Equal distances.
    TimeUniform,
    /// Equal distances of the square roots.
    TimeQuadratic,
    /// Equal distances of log √(ᾱ / (1 − ᾱ)).
    LogSnr,
}
