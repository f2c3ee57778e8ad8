//! From noise to latents: the samplers.
//!
//! A sampler is one file with a [`Method`], and one row below. It knows no network and no prompt. Progress and cancelling
//! are the model closure's: it is called in order, at least once per step, and an error that it returns ends the sampling.

mod ddim;
mod euler_a;
mod method;
#[cfg(test)]
mod toy;

use std::fmt;
use std::str::FromStr;

use burn::tensor::Tensor;

use crate::schedule::Schedule;
use crate::spacing::Spacing;
use crate::step::{Step, StepCount};
use method::{Method, Scale};

pub use method::{Model, NoiseSource, Run};

/// What is known of a sampler beside its method.
struct Row {
    /// The name that the AUTOMATIC1111 web UI gives it, and writes into pictures.
    label: &'static str,
    /// What the user may type, in any case: the names of sd-scripts and of the web UI.
    names: &'static [&'static str],
    /// How its steps are spaced.
    spacing: Spacing,
    /// The terms in which it writes noisy latents.
    scale: Scale,
}

/// Makes [`Sampler`] of one row for each.
macro_rules! samplers {
    ($($(#[doc = $doc:expr])+ $(#[cfg($cfg:meta)])? $name:ident = $method:expr, $row:expr;)+) => {
        /// A way from noise to latents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Sampler {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name,)+
        }

        impl Sampler {
            /// All samplers.
            pub const ALL: &[Self] = &[$($(#[cfg($cfg)])? Self::$name,)+];

            fn row(self) -> Row {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $row,)+
                }
            }

            /// Latents from noisy latents `x`, which come from [`Sampler::initial`].
            ///
            /// # Shapes
            /// - x and output: [B, C, H, W]
            ///
            /// # Errors
            /// What the model of `run` returns.
            pub fn sample<E>(self, x: Tensor<4>, run: Run<'_, E>) -> Result<Tensor<4>, E> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $method.sample(x, run),)+
                }
            }
        }
    };
}

samplers! {
    /// Denoising diffusion implicit models with eta 0, which adds no noise on its way (Song et al. 2020).
    Ddim = ddim::Ddim,
        Row { label: "DDIM", names: &["ddim"], spacing: Spacing::Strided, scale: Scale::Network };
    /// Ancestral sampling with Euler steps (k-diffusion), which adds new noise after each step.
    EulerA = euler_a::EulerA,
        Row {
            label: "Euler a",
            names: &["euler_a", "k_euler_a", "Euler a"],
            spacing: Spacing::Uniform,
            scale: Scale::Sigma,
        };
    /// A sampler of the tests.
    #[cfg(test)]
    Toy = toy::Toy,
        Row { label: "Toy", names: &["toy"], spacing: Spacing::Toy, scale: Scale::Sigma };
}

impl Sampler {
    /// `count` steps as this sampler spaces them.
    pub fn steps(self, schedule: &Schedule, count: StepCount) -> Vec<Step> {
        self.row().spacing.steps(schedule, count)
    }

    /// Unit normal `noise`, brought to the strength at which the first of `steps` begins.
    ///
    /// # Shapes
    /// - noise and output: [B, C, H, W]
    ///
    /// # Panics
    /// If there is no step.
    pub fn initial(self, noise: Tensor<4>, steps: &[Step]) -> Tensor<4> {
        match self.row().scale {
            Scale::Network => noise,
            Scale::Sigma => noise.mul_scalar(steps[0].from.sigma()),
        }
    }
}

/// The name that the AUTOMATIC1111 web UI writes into pictures.
impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().label)
    }
}

/// A sampler that is not here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no sampler `{0}`; use one of: {names}", names = all_names().join(", "))]
pub struct UnknownSampler(String);

impl FromStr for Sampler {
    type Err = UnknownSampler;

    fn from_str(text: &str) -> Result<Self, UnknownSampler> {
        for sampler in Self::ALL {
            if sampler.row().names.iter().any(|name| name.eq_ignore_ascii_case(text)) {
                return Ok(*sampler);
            }
        }
        Err(UnknownSampler(text.to_owned()))
    }
}

fn all_names() -> Vec<&'static str> {
    Sampler::ALL.iter().flat_map(|sampler| sampler.row().names).copied().collect()
}
