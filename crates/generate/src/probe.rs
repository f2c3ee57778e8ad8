//! What the UNet predicts for latents with a known amount of noise, with and without networks: for measuring a LoRA without
//! painting.

use std::path::Path;

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_device::ThreadGroups;
use lorabake_diffusion::{Prediction, Schedule, add_noise};
use lorabake_lora::{Attached, Net, NetStrength};
use lorabake_model::unet::UNet;
use lorabake_model::{Bundle, Conditioning};
use lorabake_ops::give_memory_back;
use lorabake_weights::Part;

use crate::conditioning::chunks::COMMA_BACKTRACK;
use crate::conditioning::{Encoders, TextOptions, ToldSizes};
use crate::embedding::EmbeddingTable;
use crate::painter::Painter;
use crate::prompt::emphasis::Emphasis;

/// How strong a net is in both kinds of networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strengths {
    /// In the text encoders.
    pub te: f64,
    /// In the UNet.
    pub unet: f64,
}

/// Latents with noise.
#[derive(Debug, Clone)]
pub struct NoisyLatents {
    /// In the UNet's scale, [B, 4, H, W].
    pub latents: Tensor<4>,
    /// Unit normal, [B, 4, H, W].
    pub noise: Tensor<4>,
    /// How much noise, 0 to 999, for each of B.
    pub timesteps: Vec<usize>,
}

/// A checkpoint's networks to measure with, whoever holds them: a painter, or a run that trains.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The networks.
    pub bundle: &'a Bundle,
    /// Names in captions that stand for vectors.
    pub embeddings: &'a EmbeddingTable,
    /// What the UNet predicts.
    pub prediction: Prediction,
    /// The noise levels that it was trained with.
    pub schedule: &'a Schedule,
    /// Threads that take samples side by side.
    pub threads: &'a ThreadGroups,
    /// Where the networks are computed.
    pub device: &'a Device,
}

impl Painter {
    /// Its networks, to measure with.
    pub fn probe(&self) -> Probe<'_> {
        Probe {
            bundle: &self.bundle,
            embeddings: &self.embeddings,
            prediction: self.prediction,
            schedule: &self.schedule,
            threads: &self.threads,
            device: &self.device,
        }
    }

    /// Values on the device of the networks.
    ///
    /// # Shapes
    /// - output: `shape`
    pub fn tensor(&self, values: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// As [`Probe::hold_text_encoders`].
    ///
    /// # Errors
    /// As there.
    pub fn hold_text_encoders(&self) -> Result<()> {
        self.probe().hold_text_encoders()
    }

    /// As [`Probe::let_text_encoders_go`].
    pub fn let_text_encoders_go(&self) {
        self.probe().let_text_encoders_go();
    }
}

impl<'a> Probe<'a> {
    /// Brings the text encoders into memory, for many texts.
    ///
    /// # Errors
    /// When the file no longer has them.
    pub fn hold_text_encoders(&self) -> Result<()> {
        Ok(self.bundle.read(|part, _| part.is_text())?)
    }

    /// Takes the text encoders out of memory again.
    pub fn let_text_encoders_go(&self) {
        self.bundle.forget(Part::is_text);
        give_memory_back();
    }

    /// Reads a net for these networks.
    ///
    /// # Errors
    /// When the file cannot be read, is no net, or does not fit.
    pub fn open_net(&self, path: &Path) -> Result<Net> {
        Net::open(path, self.bundle)
    }

    /// A net at these strengths, alone.
    pub fn attached(&self, net: &Net, strengths: Strengths) -> Attached {
        let mut attached = Attached::default();
        let plain = |_: &str| 1.0;
        let strength = NetStrength { text: strengths.te, unet: strengths.unet, ranks: None, ratio: &plain };
        net.attach(strength, self.bundle, self.device, &mut attached);
        attached
    }

    /// What the UNet is told of captions, which have no syntax, for pictures of `size` [width, height]. Text encoders that
    /// are not in memory are read for it and go again.
    ///
    /// # Errors
    /// When one is much too long.
    pub fn captions(
        &self,
        captions: &[&str],
        size: [usize; 2],
        clip_skip: usize,
        attached: &Attached,
    ) -> Result<Vec<Conditioning>> {
        let options = TextOptions {
            clip_skip,
            emphasis: Emphasis::None,
            comma_backtrack: COMMA_BACKTRACK,
            sizes: ToldSizes::default(),
        };
        let encoders = Encoders {
            bundle: self.bundle,
            adapters: attached,
            embeddings: self.embeddings,
            options,
            device: self.device,
        };
        encoders.encode(captions, size, false)
    }

    /// The UNet as a predictor of noise.
    ///
    /// # Errors
    /// When the file no longer has the UNet.
    pub fn noise_predictor(&self) -> Result<NoisePredictor<'a>> {
        self.bundle.read(|part, _| part == Part::Unet)?;
        Ok(NoisePredictor {
            unet: &self.bundle.unet,
            prediction: self.prediction,
            schedule: self.schedule,
            threads: self.threads,
        })
    }
}

/// A UNet that tells the noise in latents, whatever it was trained to predict.
#[derive(Debug)]
pub struct NoisePredictor<'a> {
    unet: &'a UNet,
    prediction: Prediction,
    /// The noise levels that it was trained with.
    pub schedule: &'a Schedule,
    threads: &'a ThreadGroups,
}

impl NoisePredictor<'_> {
    /// The noise in noisy latents.
    ///
    /// # Shapes
    /// - conditioning: of B prompts
    /// - output: [B, 4, H, W]
    pub fn predict(&self, noisy: &NoisyLatents, conditioning: Conditioning, adapters: &Adapters) -> Tensor<4> {
        let NoisyLatents { latents, noise, timesteps } = noisy;
        let x = add_noise(self.schedule, latents.clone(), noise.clone(), timesteps);
        let times: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
        let answer = self.unet.forward(x.clone(), &times, conditioning, adapters);
        if self.prediction == Prediction::Epsilon {
            return answer;
        }
        // x = √a latents + √(1−a) noise and v = √a noise − √(1−a) latents, so noise = √a v + √(1−a) x.
        let mut signal = Vec::with_capacity(timesteps.len());
        let mut spread = Vec::with_capacity(timesteps.len());
        for t in timesteps {
            let alpha = self.schedule.alphas_cumprod[*t];
            signal.push(alpha.sqrt());
            spread.push((1.0 - alpha).sqrt());
        }
        let shape = [timesteps.len(), 1, 1, 1];
        let device = x.device();
        let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), &device);
        tensor(signal) * answer + tensor(spread) * x
    }

    /// What `work` makes of each item; on a processor several are worked on side by side.
    pub fn each<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        if self.threads.count() == 1 {
            return items.iter().map(work).collect();
        }
        let mut results = Vec::with_capacity(items.len());
        for group in items.chunks(self.threads.count()) {
            results.extend(self.threads.each(group, &work));
        }
        results
    }
}
