//! From noise to latents: the samplers.
//!
//! A sampler is one file with a [`Method`], and one row below. It knows no network and no prompt. Progress and cancelling
//! are the model closure's: it is called in order, and an error that it returns ends the run.

mod ancestral;
mod choice;
mod churn;
mod contract;
mod ddim;
mod ddim_diffusers;
mod dpm2;
mod dpm2_a;
mod dpm_adaptive;
mod dpm_fast;
mod dpm_solver;
mod dpmpp_2m;
mod dpmpp_2m_sde;
mod dpmpp_2s_a;
mod dpmpp_3m_sde;
mod dpmpp_sde;
mod euler;
mod euler_a;
mod heun;
mod lcm;
mod lms;
mod plms;
mod restart;
mod setup;
mod slope;
mod unipc;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;

use crate::names::{UnknownName, named};
use crate::spacing::Scheduler;
use contract::{Method, Walk};

pub use choice::SamplerChoice;
pub use contract::{Answer, BrownianSource, Call, Model, NoiseSource, Run, Wanted};

/// In which terms a sampler writes noisy latents and levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// k-diffusion's σ.
    KDiffusion,
    /// k-diffusion's σ, at the 50 timesteps of a consistency model.
    Consistency,
    /// The web UI's timesteps.
    Timesteps,
    /// diffusers' timesteps.
    Diffusers,
}

/// What is known of a sampler beside its method.
struct Row {
    /// The name that the web UI gives it, and writes into pictures.
    label: &'static str,
    /// What may be typed too: the web UI's other names and those of sd-scripts.
    aliases: &'static [&'static str],
    family: Family,
    /// The scheduler that it takes by itself.
    scheduler: Scheduler,
    traits: &'static [Trait],
}

/// What is special about a sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trait {
    /// It calls the network twice a step, so prompt schedules are laid out over twice as many.
    SecondOrder,
    /// Its noise is that of a Brownian motion.
    Brownian,
    /// Its schedule leaves out the level before the last.
    Discard,
    /// The web UI writes the eta noise seed delta into its pictures.
    Ensd,
}

/// Makes [`Sampler`] of one row for each.
macro_rules! samplers {
    ($($(#[doc = $doc:expr])+ $name:ident = $method:expr, $label:expr, $aliases:expr, $family:ident,
        $scheduler:ident, [$($trait:ident),*];)+) => {
        /// A way from noise to latents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Sampler {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Sampler {
            /// All samplers, in the order of the web UI.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            fn row(self) -> Row {
                match self {
                    $(Self::$name => Row {
                        label: $label,
                        aliases: $aliases,
                        family: Family::$family,
                        scheduler: Scheduler::$scheduler,
                        traits: &[$(Trait::$trait),*],
                    },)+
                }
            }

            /// Latents from noisy latents `x`, which come from the run's [`Levels`](crate::Levels).
            ///
            /// # Shapes
            /// - x and output: [B, C, H, W]
            ///
            /// # Errors
            /// What the model of `run` returns.
            ///
            /// # Panics
            /// If the levels of `run` are those of a sampler of another family.
            pub fn sample<E>(self, x: Tensor<4>, run: Run<'_, E>) -> Result<Tensor<4>, E> {
                let walk = Walk::new(run);
                match self {
                    $(Self::$name => $method.sample(x, walk),)+
                }
            }
        }
    };
}

samplers! {
    /// Multistep DPM-Solver++ of second order.
    Dpmpp2M = dpmpp_2m::Dpmpp2M, "DPM++ 2M", &["k_dpmpp_2m", "dpmpp_2m", "dpmsolver++", "dpmsolver"],
        KDiffusion, Karras, [];
    /// Stochastic DPM-Solver++ of second order.
    DpmppSde = dpmpp_sde::DpmppSde, "DPM++ SDE", &["k_dpmpp_sde", "dpmpp_sde"],
        KDiffusion, Karras, [SecondOrder, Brownian];
    /// Stochastic multistep DPM-Solver++ of second order.
    Dpmpp2MSde = dpmpp_2m_sde::Dpmpp2MSde::Midpoint, "DPM++ 2M SDE", &["k_dpmpp_2m_sde", "dpmpp_2m_sde"],
        KDiffusion, Exponential, [Brownian];
    /// The same with Heun's correction.
    Dpmpp2MSdeHeun = dpmpp_2m_sde::Dpmpp2MSde::Heun, "DPM++ 2M SDE Heun", &["k_dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun"],
        KDiffusion, Exponential, [Brownian];
    /// Singlestep DPM-Solver++ of second order with ancestral steps.
    Dpmpp2SA = dpmpp_2s_a::Dpmpp2SA, "DPM++ 2S a", &["k_dpmpp_2s_a", "dpmpp_2s_a", "dpmpp_2s_ancestral", "dpmsingle"],
        KDiffusion, Karras, [SecondOrder, Ensd];
    /// Stochastic multistep DPM-Solver++ of third order.
    Dpmpp3MSde = dpmpp_3m_sde::Dpmpp3MSde, "DPM++ 3M SDE", &["k_dpmpp_3m_sde", "dpmpp_3m_sde"],
        KDiffusion, Exponential, [Discard, Brownian];
    /// Euler with ancestral steps, which adds new noise after each step.
    EulerA = euler_a::EulerA, "Euler a", &["k_euler_a", "euler_a", "k_euler_ancestral", "euler_ancestral"],
        KDiffusion, Automatic, [Ensd];
    /// Euler's method.
    Euler = euler::Euler, "Euler", &["k_euler"], KDiffusion, Automatic, [];
    /// A linear multistep method.
    Lms = lms::Lms, "LMS", &["k_lms"], KDiffusion, Automatic, [];
    /// Heun's method.
    Heun = heun::Heun, "Heun", &["k_heun"], KDiffusion, Automatic, [SecondOrder];
    /// Midpoint steps.
    Dpm2 = dpm2::Dpm2, "DPM2", &["k_dpm_2", "dpm_2"], KDiffusion, Karras, [Discard, SecondOrder];
    /// Midpoint steps with fresh noise.
    Dpm2A = dpm2_a::Dpm2A, "DPM2 a", &["k_dpm_2_a", "dpm_2_a", "k_dpm_2_ancestral", "dpm_2_ancestral"],
        KDiffusion, Karras, [Discard, Ensd, SecondOrder];
    /// DPM-Solver with a fixed number of calls.
    DpmFast = dpm_fast::DpmFast, "DPM fast", &["k_dpm_fast"], KDiffusion, Automatic, [Ensd];
    /// DPM-Solver that finds its own steps.
    DpmAdaptive = dpm_adaptive::DpmAdaptive, "DPM adaptive", &["k_dpm_ad", "dpm_adaptive"],
        KDiffusion, Automatic, [Ensd];
    /// Heun's method with restarts.
    Restart = restart::Restart, "Restart", &[], KDiffusion, Karras, [SecondOrder];
    /// Denoising diffusion implicit models as the web UI runs them.
    Ddim = ddim::Ddim::Guided, "DDIM", &[], Timesteps, Automatic, [];
    /// DDIM whose direction is the unconditional noise.
    DdimCfgpp = ddim::Ddim::Unconditional, "DDIM CFG++", &["ddim_cfgpp"], Timesteps, Automatic, [];
    /// Pseudo linear multistep.
    Plms = plms::Plms, "PLMS", &["pndm"], Timesteps, Automatic, [];
    /// A unified predictor and corrector.
    UniPc = unipc::UniPc, "UniPC", &[], Timesteps, Automatic, [];
    /// For latent consistency models.
    Lcm = lcm::Lcm, "LCM", &["k_lcm"], Consistency, Automatic, [];
    /// DDIM with eta 0 as diffusers and sd-scripts run it.
    DdimDiffusers = ddim_diffusers::DdimDiffusers, "DDIM (diffusers)", &["ddim_diffusers"],
        Diffusers, Automatic, [];
}

/// What CFG++ divides the guidance scale by.
const CFGPP_DIVISOR: f64 = 12.5;

impl Sampler {
    /// All names by which it is known: label and others.
    pub fn names(self) -> Vec<&'static str> {
        let row = self.row();
        let mut names = vec![row.label];
        names.extend(row.aliases);
        names
    }

    /// The scheduler that [`Scheduler::Automatic`] stands for; `Automatic` itself is the uniform one.
    pub fn default_scheduler(self) -> Scheduler {
        self.row().scheduler
    }

    /// Whether prompt schedules are laid out over twice as many calls as there are steps.
    pub fn is_second_order(self) -> bool {
        self.row().traits.contains(&Trait::SecondOrder)
    }

    /// Whether it takes the noise of a Brownian motion.
    pub fn is_brownian(self) -> bool {
        self.row().traits.contains(&Trait::Brownian)
    }

    /// Whether the web UI writes the eta noise seed delta into its pictures.
    pub fn tells_seed_delta(self) -> bool {
        self.row().traits.contains(&Trait::Ensd)
    }

    /// Whether it goes by timesteps, where schedulers have no effect.
    pub fn goes_by_timesteps(self) -> bool {
        matches!(self.row().family, Family::Timesteps | Family::Diffusers)
    }

    /// Whether it asks for [`Answer::unconditional`].
    pub fn needs_unconditional(self) -> bool {
        self == Self::DdimCfgpp
    }

    /// The scale with which guidance acts where `scale` is asked for.
    pub fn guidance_scale(self, scale: f64) -> f64 {
        if self == Self::DdimCfgpp { scale / CFGPP_DIVISOR } else { scale }
    }
}

/// The name that the web UI writes into pictures.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().label)
    }
}

/// By the names of the web UI and of sd-scripts, in any case. Where sd-scripts has a sampler that the web UI lacks, it is
/// the nearest: `pndm` is PLMS, `dpmsolver` DPM++ 2M, `dpmsingle` DPM++ 2S a.
impl FromStr for Sampler {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        named("sampler", text, Self::ALL, |sampler| sampler.names())
    }
}
