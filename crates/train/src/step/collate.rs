//! Images one after another → the inputs of a step; for training and for validation.

use lorabake_lora::AdapterDraws;
use lorabake_model::TimeIds;

use super::StepInputs;
use crate::cache::{Drawn, Tokens};
use crate::noise_draws::NoiseDraws;

/// What one image brings to a batch.
pub(crate) struct SampleInputs {
    /// Latents, and where the loss counts.
    pub drawn: Drawn,
    /// The caption of this use.
    pub prompt: String,
    /// What SDXL is told of the image's sizes.
    pub sizes: TimeIds,
    /// How much the image counts.
    pub loss_weight: f32,
    /// Whether the image should give what the networks predict without adapters.
    pub preserve_prior: bool,
}

/// A batch as its images come in. All of them have latents of one shape.
pub(crate) struct Collation {
    /// Channels, height, width.
    latent_shape: [usize; 3],
    /// Latents of all images so far, row-major.
    pub latents: Vec<f32>,
    masks: Vec<Option<Vec<f32>>>,
    prompts: Vec<String>,
    sizes: Vec<TimeIds>,
    loss_weights: Vec<f32>,
    prior: Vec<bool>,
}

impl Collation {
    /// A batch without images whose latents have this shape: channels, height, width.
    pub fn new(latent_shape: [usize; 3]) -> Self {
        Self {
            latent_shape,
            latents: Vec::new(),
            masks: Vec::new(),
            prompts: Vec::new(),
            sizes: Vec::new(),
            loss_weights: Vec::new(),
            prior: Vec::new(),
        }
    }

    /// Adds an image.
    pub fn push(&mut self, sample: SampleInputs) {
        self.latents.extend(sample.drawn.latents);
        self.masks.push(sample.drawn.mask);
        self.prompts.push(sample.prompt);
        self.sizes.push(sample.sizes);
        self.loss_weights.push(sample.loss_weight);
        self.prior.push(sample.preserve_prior);
    }

    /// [B, C, h, w]
    pub fn shape(&self) -> [usize; 4] {
        let [channels, height, width] = self.latent_shape;
        [self.prompts.len(), channels, height, width]
    }

    /// The captions of all images so far.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.prompts.iter().map(String::as_str)
    }

    /// The batch with what was drawn for it.
    pub fn finish(self, noise: NoiseDraws, adapter_draws: AdapterDraws, tokens: Tokens) -> StepInputs {
        StepInputs {
            shape: self.shape(),
            mask: self.mask(),
            latents: self.latents,
            noise: noise.noise,
            input_noise: noise.input_noise,
            timesteps: noise.timesteps,
            adapter_draws,
            tokens,
            sizes: self.sizes,
            loss_weights: self.loss_weights,
            prior: self.prior,
        }
    }

    /// The masks of all images side by side, if any has one; an image without a mask counts everywhere.
    fn mask(&self) -> Option<Vec<f32>> {
        if self.masks.iter().all(Option::is_none) {
            return None;
        }
        let [_, height, width] = self.latent_shape;
        let mut all = Vec::with_capacity(self.masks.len() * height * width);
        for mask in &self.masks {
            match mask {
                Some(mask) => all.extend(mask),
                None => all.resize(all.len() + height * width, 1.0),
            }
        }
        Some(all)
    }
}
