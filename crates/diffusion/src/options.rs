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
    /// The largest noise level at which they do ("Sigma tmax"); none or 0: no limit.
    pub s_tmax: Option<f64>,
    /// Factor of added noise ("Sigma noise").
    pub s_noise: f64,
    /// The scheduler's smallest level above 0; none or 0: the model's.
    pub sigma_min: Option<f64>,
    /// The scheduler's largest level; none or 0: the model's.
    pub sigma_max: Option<f64>,
    /// ρ of "Karras" and "Polyexponential"; none or 0: 7 and 1.
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

/// A setting with a value that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("--{option}: {value} is not possible; use {possible}")]
pub struct BadSamplerOption {
    /// The option, as [`SamplerOptions`] names it.
    pub option: &'static str,
    /// Its value.
    pub value: f64,
    /// What would do.
    pub possible: &'static str,
}

impl SamplerOptions {
    /// Settings that make no sense, all of them: such as would lead to numbers that are none.
    pub fn problems(&self) -> Vec<BadSamplerOption> {
        let mut problems = Vec::new();
        let mut check = |option, value: Option<f64>, is_possible: fn(f64) -> bool, possible| {
            if let Some(value) = value
                && !is_possible(value)
            {
                problems.push(BadSamplerOption { option, value, possible });
            }
        };
        let at_least_0: fn(f64) -> bool = |value| (0.0..=1e6).contains(&value);
        check("eta", self.eta, |eta| (0.0..=1.0).contains(&eta), "0 to 1");
        check("s_churn", Some(self.s_churn), at_least_0, "0 or more, for instance 10");
        check("s_tmin", Some(self.s_tmin), at_least_0, "0 or more, for instance 0.05");
        check("s_tmax", self.s_tmax, at_least_0, "0 or more, for instance 50");
        check("s_noise", Some(self.s_noise), at_least_0, "0 or more, for instance 1.003");
        check("sigma_min", self.sigma_min, at_least_0, "a number above 0, for instance 0.03");
        check("sigma_max", self.sigma_max, at_least_0, "a number above 0, for instance 14.6");
        let rho: fn(f64) -> bool = |rho| rho == 0.0 || (0.01..=1000.0).contains(&rho);
        check("rho", self.rho, rho, "0.01 to 1000, for instance 7");
        let beta_shape: fn(f64) -> bool = |value| (0.01..=100.0).contains(&value);
        check("beta_alpha", Some(self.beta.alpha), beta_shape, "0.01 to 100, for instance 0.6");
        check("beta_beta", Some(self.beta.beta), beta_shape, "0.01 to 100, for instance 0.6");
        check("uni_pc_order", Some(self.unipc.order as f64), |order| (1.0..=50.0).contains(&order), "1 to 50");
        if let (Some(smallest), Some(largest)) = (set(self.sigma_min), set(self.sigma_max))
            && smallest > largest
        {
            let possible = "less than --sigma_max";
            problems.push(BadSamplerOption { option: "sigma_min", value: smallest, possible });
        }
        problems
    }

    /// The same with the smallest and the largest level that the web UI's schedulers had at first ("Use old karras
    /// scheduler sigmas").
    pub fn old_karras_sigmas(self) -> Self {
        Self { sigma_min: Some(0.1), sigma_max: Some(10.0), ..self }
    }
}

/// A setting for which the web UI writes 0 where it is not set.
pub(crate) fn set(value: Option<f64>) -> Option<f64> {
    if value == Some(0.0) { None } else { value }
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
