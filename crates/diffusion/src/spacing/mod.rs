//! How the noise levels of a run are spaced (the web UI's "Schedule type", k-diffusion's `get_sigmas_…`).
//!
//! A scheduler is one file with a function `sigmas`, and one row below. Beside them: `timesteps` of the DDIM family,
//! `strided` of diffusers' DDIM.

mod align_your_steps;
mod beta;
pub(crate) mod beta_quantile;
mod ddim;
mod exponential;
pub(crate) mod karras;
mod kl_optimal;
pub(crate) mod linspace;
mod normal;
mod polyexponential;
mod sgm_uniform;
mod simple;
pub(crate) mod strided;
pub(crate) mod timesteps;
mod uniform;

use std::fmt;
use std::str::FromStr;

use crate::names::{UnknownName, named};
use crate::noise_table::NoiseTable;
pub use beta_quantile::BetaShape;

/// What a scheduler goes by.
pub(crate) struct Inputs<'a> {
    /// The model's noise levels.
    pub(crate) table: &'a NoiseTable,
    /// How many levels.
    pub(crate) count: usize,
    /// The smallest level above 0.
    pub(crate) lowest: f64,
    /// The largest level.
    pub(crate) highest: f64,
    /// ρ where it is not the scheduler's own.
    pub(crate) rho: Option<f64>,
    /// Of the beta scheduler.
    pub(crate) beta: BetaShape,
}

/// Makes [`Scheduler`] of rows `Name = (label, name, aliases), function`.
macro_rules! schedulers {
    ($($(#[doc = $doc:expr])+ $name:ident = ($label:expr, $short:expr, $aliases:expr), $sigmas:path;)+) => {
        /// A way to space the noise levels of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scheduler {
            /// The sampler's own, or [`Self::Uniform`] where it has none.
            Automatic,
            $($(#[doc = $doc])+ $name,)+
        }

        impl Scheduler {
            /// All schedulers, in the order of the web UI.
            pub const ALL: &[Self] = &[Self::Automatic, $(Self::$name,)+];

            /// Label, short name, other names.
            fn row(self) -> (&'static str, &'static str, &'static [&'static str]) {
                match self {
                    Self::Automatic => ("Automatic", "automatic", &[]),
                    $(Self::$name => ($label, $short, $aliases),)+
                }
            }

            /// The levels, largest first, without the 0 at the end.
            fn sigmas(self, inputs: &Inputs<'_>) -> Vec<f32> {
                match self {
                    Self::Automatic => uniform::sigmas(inputs),
                    $(Self::$name => $sigmas(inputs),)+
                }
            }
        }
    };
}

schedulers! {
    /// Timesteps at equal distances.
    Uniform = ("Uniform", "uniform", &[]), uniform::sigmas;
    /// Karras et al. 2022.
    Karras = ("Karras", "karras", &[]), karras::sigmas;
    /// Equal distances of the logarithms.
    Exponential = ("Exponential", "exponential", &[]), exponential::sigmas;
    /// Logarithms by a power.
    Polyexponential = ("Polyexponential", "polyexponential", &[]), polyexponential::sigmas;
    /// Timesteps at equal distances, without the last.
    SgmUniform = ("SGM Uniform", "sgm_uniform", &["SGMUniform"]), sgm_uniform::sigmas;
    /// Equal distances of the arc tangents.
    KlOptimal = ("KL Optimal", "kl_optimal", &[]), kl_optimal::sigmas;
    /// Found by optimization.
    AlignYourSteps = ("Align Your Steps", "align_your_steps", &["ays"]), align_your_steps::sigmas;
    /// Levels of the table at equal strides.
    Simple = ("Simple", "simple", &[]), simple::sigmas;
    /// Timesteps at equal distances between the smallest and the largest level.
    Normal = ("Normal", "normal", &[]), normal::sigmas;
    /// Levels of the table at whole strides.
    Ddim = ("DDIM", "ddim", &["ddim_uniform"]), ddim::sigmas;
    /// Quantiles of a beta distribution.
    Beta = ("Beta", "beta", &[]), beta::sigmas;
}

impl Scheduler {
    /// All names by which it is known: label, short name, others.
    pub fn names(self) -> Vec<&'static str> {
        let (label, short, aliases) = self.row();
        let mut names = vec![label, short];
        names.extend(aliases);
        names
    }

    /// All levels, the 0 at the end included where there is one.
    pub(crate) fn levels(self, inputs: &Inputs<'_>) -> Vec<f32> {
        let mut sigmas = self.sigmas(inputs);
        if self != Self::KlOptimal {
            sigmas.push(0.0);
        }
        sigmas
    }

    /// Whether options for the smallest and largest level and ρ act: not on the table's own uniform levels.
    pub(crate) fn takes_options(self) -> bool {
        self != Self::Automatic
    }
}

/// The web UI's label, which it writes into pictures.
impl fmt::Display for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

/// By label or name, in any case.
impl FromStr for Scheduler {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        named("scheduler", text, Self::ALL, |scheduler| scheduler.names())
    }
}
