//! From noise to latents: the samplers, one a file, behind one signature.
//!
//! They know no network and no prompt. Progress and cancelling are the model closure's: it is called once per step, in
//! order, and an error that it returns ends the sampling.

mod ddim;
mod euler_a;

use std::ops::RangeInclusive;
use std::str::FromStr;

use burn::tensor::Tensor;

use crate::schedule::Schedule;

/// Predicts the noise: (noisy latents (B, C, H, W), timestep in 0..=999, possibly between two) → epsilon (B, C, H, W).
/// With a schedule that [`Schedule::ends_in_noise`] it predicts the velocity.
pub type Model<'a, E> = dyn FnMut(Tensor<4>, f64) -> Result<Tensor<4>, E> + 'a;

/// Unit normal noise (B, C, H, W) that a sampler adds at the end of step 0, 1, ...
pub type NoiseSource<'a> = dyn FnMut(usize) -> Tensor<4> + 'a;

/// What the user may type, in any case: the names of sd-scripts and those of the AUTOMATIC1111 web UI.
const NAMES: [(&str, Sampler); 4] = [
    ("ddim", Sampler::Ddim),
    ("euler_a", Sampler::EulerA),
    ("k_euler_a", Sampler::EulerA),
    ("Euler a", Sampler::EulerA),
];

/// What is wrong with a choice of the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A sampler that is not here.
    #[error("there is no sampler `{0}`; use one of: {names}", names = NAMES.map(|(name, _)| name).join(", "))]
    UnknownSampler(String),
    /// A number of steps out of range.
    #[error(
        "{0} sampling steps are not possible; use {least} to {most}, for instance 20",
        least = Steps::RANGE.start(),
        most = Steps::RANGE.end()
    )]
    Steps(usize),
}

/// A way from noise to latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler {
    /// Denoising diffusion implicit models with eta 0, which adds no noise on its way (Song et al. 2020).
    Ddim,
    /// Ancestral sampling with Euler steps (k-diffusion), which adds new noise after each step.
    EulerA,
}

/// The name that the AUTOMATIC1111 web UI writes into pictures.
impl std::fmt::Display for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ddim => "DDIM",
            Self::EulerA => "Euler a",
        })
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, sampler)| *sampler).ok_or_else(|| Error::UnknownSampler(text.to_owned()))
    }
}

/// A number of sampling steps that every sampler can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps(usize);

impl Steps {
    /// What is possible. With DDIM's spacing a single step would begin, and end, at timestep 1; more than 500 steps
    /// would lie side by side and cover the lower timesteps only.
    pub const RANGE: RangeInclusive<usize> = 2..=500;

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for Steps {
    type Error = Error;

    fn try_from(count: usize) -> Result<Self, Error> {
        if Self::RANGE.contains(&count) { Ok(Self(count)) } else { Err(Error::Steps(count)) }
    }
}

impl Sampler {
    /// Unit normal `noise` (B, C, H, W), brought to the strength that this sampler starts from.
    pub fn initial(self, noise: Tensor<4>, schedule: &Schedule) -> Tensor<4> {
        match self {
            Self::Ddim => noise,
            Self::EulerA => euler_a::initial(noise, schedule),
        }
    }

    /// Latents (B, C, H, W) from `x`, which comes from [`Sampler::initial`]; the model is called once per step.
    ///
    /// `noise` is asked by `EulerA` only, once per step but the last.
    ///
    /// # Errors
    /// What `model` returns.
    pub fn sample<E>(
        self,
        model: &mut Model<'_, E>,
        x: Tensor<4>,
        schedule: &Schedule,
        steps: Steps,
        noise: &mut NoiseSource<'_>,
    ) -> Result<Tensor<4>, E> {
        match self {
            Self::Ddim => ddim::sample(model, x, schedule, steps),
            Self::EulerA => euler_a::sample(model, x, schedule, steps, noise),
        }
    }
}
