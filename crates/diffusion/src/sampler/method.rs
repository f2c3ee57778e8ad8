//! What a sampler is, and what it may ask for while it runs.
//!
//! The contract is k-diffusion's, `model(x, sigma) -> denoised`: a network is whatever gives denoised latents for noisy
//! ones. What it predicts in truth is the caller's affair, see [`Prediction::denoised`](crate::Prediction::denoised).

use burn::tensor::Tensor;

use crate::schedule::Schedule;
use crate::step::{NoiseLevel, Step};

/// A network: (noisy latents √ᾱ · latents + √(1 − ᾱ) · noise, their noise level) → the denoised latents that it
/// predicts, both (B, C, H, W).
pub type Model<'a, E> = dyn FnMut(Tensor<4>, NoiseLevel) -> Result<Tensor<4>, E> + 'a;

/// Unit normal noise (B, C, H, W) for a sampler to add in a step, new at each call.
pub type NoiseSource<'a> = dyn FnMut(Step) -> Tensor<4> + 'a;

/// In which terms a sampler writes noisy latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// √ᾱ · latents + √(1 − ᾱ) · noise, as networks take them: diffusers' DDIM. Finite at every level.
    Network,
    /// latents + σ · noise: k-diffusion.
    Sigma,
}

/// A way from noise to latents.
pub(super) trait Method {
    /// Latents from noisy latents `x` at the level where the first step begins.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    ///
    /// # Errors
    /// What the model of `run` returns.
    fn sample<E>(&self, x: Tensor<4>, run: Run<'_, E>) -> Result<Tensor<4>, E>;
}

/// One run of a sampler.
pub struct Run<'a, E> {
    /// The noise schedule, which tells the levels beside those of the steps.
    pub schedule: &'a Schedule,
    /// The steps to take, in order.
    pub steps: &'a [Step],
    /// The network.
    pub model: &'a mut Model<'a, E>,
    /// Noise for samplers that add some on their way.
    pub noise: &'a mut NoiseSource<'a>,
}

impl<E> Run<'_, E> {
    /// The denoised latents for `x` of [`Scale::Network`].
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    ///
    /// # Errors
    /// What the model returns.
    pub(super) fn denoise(&mut self, x: Tensor<4>, level: NoiseLevel) -> Result<Tensor<4>, E> {
        (self.model)(x, level)
    }

    /// The denoised latents for `x` of [`Scale::Sigma`].
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    ///
    /// # Errors
    /// What the model returns.
    pub(super) fn denoise_sigma(&mut self, x: Tensor<4>, level: NoiseLevel) -> Result<Tensor<4>, E> {
        let sigma = level.sigma();
        self.denoise(x.div_scalar((sigma * sigma + 1.0).sqrt()), level)
    }
}
