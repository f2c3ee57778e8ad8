//! Noise levels, and the steps that a sampler takes between them.

use std::ops::RangeInclusive;

/// How noisy latents are: at level ᾱ they are √ᾱ · latents + √(1 − ᾱ) · noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseLevel {
    /// The timestep that the network is given, 0 to 999, possibly between two.
    pub timestep: f64,
    /// ᾱ, the share of the latents in the variance of the noisy latents: 0 is noise alone, 1 is no noise.
    pub alpha: f64,
}

impl NoiseLevel {
    /// σ = √((1 − ᾱ) / ᾱ), the strength of the noise beside latents of strength 1; infinite where ᾱ is 0.
    pub fn sigma(self) -> f64 {
        ((1.0 - self.alpha) / self.alpha).sqrt()
    }
}

/// One step of diffusers' DDIM.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// The level at which the network is asked.
    pub from: NoiseLevel,
    /// The level that the step leads to.
    pub to: NoiseLevel,
}

/// A number of sampling steps that diffusers' DDIM, and so every sampler, can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepCount(usize);

/// A number of sampling steps that is out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{count} sampling steps are not possible; use {} to {}, for instance 20", possible.start(), possible.end())]
pub struct StepsOutOfRange {
    /// What was asked for.
    pub count: usize,
    /// What is possible.
    pub possible: RangeInclusive<usize>,
}

impl StepCount {
    /// What is possible. With DDIM's spacing a single step would begin, and end, at timestep 1; more than 500 steps
    /// would lie side by side and cover the lower timesteps only.
    pub const RANGE: RangeInclusive<usize> = 2..=500;

    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for StepCount {
    type Error = StepsOutOfRange;

    fn try_from(count: usize) -> Result<Self, StepsOutOfRange> {
        StepsOutOfRange::check(count, Self::RANGE)?;
        Ok(Self(count))
    }
}

impl StepsOutOfRange {
    /// Whether a sampler whose numbers of steps are `possible` can make `count`.
    pub(crate) fn check(count: usize, possible: RangeInclusive<usize>) -> Result<(), Self> {
        if possible.contains(&count) { Ok(()) } else { Err(Self { count, possible }) }
    }
}
