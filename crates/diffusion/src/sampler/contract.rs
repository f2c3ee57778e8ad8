//! What a sampler may ask for while it runs, and how it is answered.
//!
//! k-diffusion's samplers ask for denoised latents at a noise level, x = latents + σ · noise. The DDIM family asks for the
//! noise at a timestep, x = √ᾱ · latents + √(1 − ᾱ) · noise. What the network is given and predicts in truth is between
//! [`Call::network_input`] and [`Call::read`]; guidance, masks, prompts and progress are the caller's.

use burn::tensor::Tensor;

use crate::levels::Levels;
use crate::options::SamplerOptions;
use crate::step::NoiseLevel;
use crate::target::Prediction;

/// A network with guidance: (noisy latents in the sampler's terms, what is asked) → the answer, all (B, C, H, W).
pub type Model<'a, E> = dyn FnMut(Tensor<4>, &Call) -> Result<Answer, E> + 'a;

/// Unit normal noise (B, C, H, W) for a sampler to add, new at each call. It is asked for only as far as it is used.
pub type NoiseSource<'a> = dyn FnMut() -> Tensor<4> + 'a;

/// Unit normal noise (B, C, H, W) of a Brownian motion from the first noise level to the second.
pub type BrownianSource<'a> = dyn FnMut(f32, f32) -> Tensor<4> + 'a;

/// What a sampler wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The denoised latents in x = latents + σ · noise.
    Denoised,
    /// The same as a latent consistency model says it, with the boundary condition of its training.
    Consistent,
    /// The noise in x = √ᾱ · latents + √(1 − ᾱ) · noise.
    Noise,
    /// The denoised latents in x = √ᾱ · latents + √(1 − ᾱ) · noise.
    DenoisedInNetworkTerms,
}

/// A question of a sampler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// What it wants to know.
    pub wanted: Wanted,
    /// The timestep that the network is given, 0 to 999, possibly between two.
    pub timestep: f64,
    /// σ = √((1 − ᾱ) / ᾱ).
    pub sigma: f64,
    /// ᾱ, the share of the latents in the variance of noisy latents.
    pub alpha: f64,
    /// Which call of the run it is, from 0: prompt schedules go by it.
    pub number: usize,
    /// The step that the web UI's extensions see: that of the latest finished call of the network, from 0. It lags behind.
    pub step: usize,
}

/// What a sampler is told.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it wanted to know, guided.
    pub guided: Tensor<4>,
    /// The same by the negative prompt alone, which CFG++ goes by; none where it was not computed.
    pub unconditional: Option<Tensor<4>>,
}

impl From<Tensor<4>> for Answer {
    fn from(guided: Tensor<4>) -> Self {
        Self { guided, unconditional: None }
    }
}

impl Call {
    /// Noisy latents `x` of the sampler as the network takes them, with variance 1.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn network_input(&self, x: Tensor<4>) -> Tensor<4> {
        match self.wanted {
            Wanted::Denoised | Wanted::Consistent => x.div_scalar((self.sigma * self.sigma + 1.0).sqrt()),
            Wanted::Noise | Wanted::DenoisedInNetworkTerms => x,
        }
    }

    /// What the sampler wanted to know, by the network's `output` for [`Self::network_input`] of `x`.
    ///
    /// # Shapes
    /// - output, x and result: [B, C, H, W]
    pub fn read(&self, prediction: Prediction, output: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        match self.wanted {
            Wanted::Denoised => self.denoised(prediction, output, x),
            Wanted::Consistent => {
                // Of data with deviation 1/2, at a time ten times the timestep (Luo et al. 2023, arXiv 2310.04378).
                let time = 10.0 * self.timestep;
                let square = time * time + 0.25;
                let denoised = self.denoised(prediction, output, x.clone());
                denoised.mul_scalar(time / square.sqrt()) + x.mul_scalar(0.25 / square)
            }
            Wanted::Noise => match prediction {
                Prediction::Epsilon => output,
                Prediction::V => output.mul_scalar(self.alpha.sqrt()) + x.mul_scalar((1.0 - self.alpha).sqrt()),
            },
            Wanted::DenoisedInNetworkTerms => {
                let level = NoiseLevel { timestep: self.timestep, alpha: self.alpha };
                prediction.denoised(output, x, level)
            }
        }
    }

    /// The denoised latents that an `answer` to this call foresees for noisy latents `x` of the sampler: for previews.
    ///
    /// # Shapes
    /// - answer, x and result: [B, C, H, W]
    pub fn denoised_of(&self, answer: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        match self.wanted {
            Wanted::Noise => {
                let level = NoiseLevel { timestep: self.timestep, alpha: self.alpha };
                Prediction::Epsilon.denoised(answer, x, level)
            }
            Wanted::Denoised | Wanted::Consistent | Wanted::DenoisedInNetworkTerms => answer,
        }
    }

    /// The denoised latents in `x` = latents + σ · noise.
    fn denoised(&self, prediction: Prediction, output: Tensor<4>, x: Tensor<4>) -> Tensor<4> {
        match prediction {
            Prediction::Epsilon => x - output.mul_scalar(self.sigma),
            Prediction::V => {
                let square = self.sigma * self.sigma + 1.0;
                x.div_scalar(square) - output.mul_scalar(self.sigma / square.sqrt())
            }
        }
    }
}

/// One run of a sampler.
pub struct Run<'a, E> {
    /// The noise levels, which begin where the noisy latents are.
    pub levels: &'a Levels,
    /// Settings.
    pub options: &'a SamplerOptions,
    /// The network with guidance. Called in order; an error that it returns ends the run.
    pub model: &'a mut Model<'a, E>,
    /// Noise that is added on the way.
    pub noise: &'a mut NoiseSource<'a>,
    /// Noise of SDE samplers.
    pub brownian: &'a mut BrownianSource<'a>,
}

/// A run under way.
pub(super) struct Walk<'a, E> {
    pub(super) run: Run<'a, E>,
    number: usize,
    step: usize,
}

/// A way from noise to latents.
pub(super) trait Method {
    /// Latents from noisy latents `x` at the level where the run begins.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    ///
    /// # Errors
    /// What the model of the run returns.
    fn sample<E>(&self, x: Tensor<4>, walk: Walk<'_, E>) -> Result<Tensor<4>, E>;
}

impl<'a, E> Walk<'a, E> {
    pub(super) fn new(run: Run<'a, E>) -> Self {
        Self { run, number: 0, step: 0 }
    }

    /// The noise levels of a k-diffusion sampler.
    pub(super) fn sigmas(&self) -> Vec<f32> {
        self.run.levels.sigmas().expect("levels of a k-diffusion sampler").to_vec()
    }

    /// The timesteps of a sampler of the DDIM family.
    pub(super) fn timesteps(&self) -> Vec<usize> {
        self.run.levels.timesteps().expect("levels of the DDIM family").to_vec()
    }

    /// η of k-diffusion's samplers.
    pub(super) fn eta(&self) -> f64 {
        self.run.options.eta.unwrap_or(1.0)
    }

    /// The denoised latents in `x` = latents + `sigma` · noise.
    pub(super) fn denoised(&mut self, x: Tensor<4>, sigma: f64) -> Result<Tensor<4>, E> {
        self.at_sigma(Wanted::Denoised, x, sigma)
    }

    /// The same as a latent consistency model says it.
    pub(super) fn consistent(&mut self, x: Tensor<4>, sigma: f64) -> Result<Tensor<4>, E> {
        self.at_sigma(Wanted::Consistent, x, sigma)
    }

    fn at_sigma(&mut self, wanted: Wanted, x: Tensor<4>, sigma: f64) -> Result<Tensor<4>, E> {
        let timestep = f64::from(self.run.levels.table().timestep(sigma as f32));
        let alpha = 1.0 / (1.0 + sigma * sigma);
        let answer = self.ask(x, Call { wanted, timestep, sigma, alpha, number: self.number, step: self.step })?;
        Ok(answer.guided)
    }

    /// The noise in `x` at a timestep.
    pub(super) fn predicted_noise(&mut self, x: Tensor<4>, timestep: f64) -> Result<Answer, E> {
        let alpha = self.run.levels.table().alpha(timestep);
        self.ask(x, self.call_at(Wanted::Noise, NoiseLevel { timestep, alpha }))
    }

    /// The denoised latents in `x` of the network's terms.
    pub(super) fn denoised_at(&mut self, x: Tensor<4>, level: NoiseLevel) -> Result<Tensor<4>, E> {
        Ok(self.ask(x, self.call_at(Wanted::DenoisedInNetworkTerms, level))?.guided)
    }

    fn call_at(&self, wanted: Wanted, level: NoiseLevel) -> Call {
        let NoiseLevel { timestep, alpha } = level;
        Call { wanted, timestep, sigma: level.sigma(), alpha, number: self.number, step: self.step }
    }

    fn ask(&mut self, x: Tensor<4>, call: Call) -> Result<Answer, E> {
        self.number += 1;
        (self.run.model)(x, &call)
    }

    /// The steps that extensions see go on: step `index` has had its call of the network.
    pub(super) fn step_seen(&mut self, index: usize) {
        self.step = index;
    }

    /// New noise of the run's source.
    pub(super) fn noise(&mut self) -> Tensor<4> {
        (self.run.noise)()
    }

    /// Noise of the Brownian motion between two noise levels.
    pub(super) fn brownian(&mut self, from: f32, to: f32) -> Tensor<4> {
        (self.run.brownian)(from, to)
    }
}
