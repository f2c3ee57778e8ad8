//! Predictions of tiny networks, recorded and ours.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_lora::{Attached, Net, NetStrength};
use lorabake_model::family::{States, TextModel, text_models};
use lorabake_model::nn::Builder;
use lorabake_model::text::{Projection, TextEncoder, TextInput};
use lorabake_model::{AddedConditioning, Bundle, Conditioning, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_recipe::model::Family;
use lorabake_replay::Tensors;
use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::{Checkpoint, Loader};

use super::pack::Pack;

/// What was recorded of a family: what went in, and what came out.
pub struct Predictions {
    tensors: Tensors,
    /// How the pack calls the family.
    name: String,
    family: Family,
}

/// A checkpoint, perhaps with a net at a strength.
pub struct With<'p> {
    /// The checkpoint.
    pub model: &'p Path,
    /// The net and its strength.
    pub net: Option<(&'p Path, f64)>,
}

struct Loaded {
    bundle: Bundle,
    attached: Attached,
}

impl With<'_> {
    fn open(&self) -> Result<Loaded> {
        let checkpoint = Checkpoint::open_for(Purpose::Painting, self.model, None)?;
        let bundle = Bundle::load(&checkpoint, VaeHalves::Generating, WeightDtype::F32)?;
        let mut attached = Attached::default();
        if let Some((path, weight)) = self.net {
            let strength = NetStrength { text: weight, unet: weight, ranks: None, ratio: &|_| 1.0 };
            Net::open(path, &bundle)?.attach(strength, &bundle, &Device::flex(), &mut attached);
        }
        Ok(Loaded { bundle, attached })
    }
}

impl Predictions {
    /// # Errors
    /// When they cannot be read.
    pub fn open(pack: &Pack, name: &str, family: Family) -> Result<Self> {
        Ok(Self { tensors: pack.tensors("diffusers/predictions.safetensors")?, name: name.to_string(), family })
    }

    /// What a case's networks gave.
    ///
    /// # Errors
    /// When it was not recorded.
    pub fn recorded(&self, key: &str) -> Result<Vec<f32>> {
        self.tensors.f32(key)
    }

    /// What the networks gave without a net.
    ///
    /// # Errors
    /// When it was not recorded.
    pub fn recorded_base(&self, what: &str) -> Result<Vec<f32>> {
        self.tensors.f32(&format!("{}.base.{what}", self.name))
    }

    fn input<const D: usize>(&self, what: &str) -> Result<Tensor<D>> {
        let key = format!("{}.{what}", self.name);
        let shape: [usize; D] = self.tensors.shape(&key)?.try_into().ok().with_context(|| key.clone())?;
        Ok(Tensor::from_data(TensorData::new(self.tensors.f32(&key)?, shape), &Device::flex()))
    }

    /// What the UNet of `with` predicts more than that of `without`, as the mean of several latents that differ by so little
    /// that only the rounding differs.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn change(&self, without: &With<'_>, with: &With<'_>, times: usize) -> Result<Vec<f32>> {
        const APART: f32 = 3e-7;
        let without = without.open()?;
        let with = with.open()?;
        let latents: Tensor<4> = self.input("latents")?;
        let mut mean: Vec<f32> = Vec::new();
        for time in 0..times {
            let factor = 1.0 + APART * (time as f32 - (times / 2) as f32);
            let latents = latents.clone().mul_scalar(factor);
            let before = self.predict(&without, latents.clone())?;
            let after = self.predict(&with, latents)?;
            mean.resize(after.len(), 0.0);
            for ((mean, after), before) in mean.iter_mut().zip(&after).zip(&before) {
                *mean += (after - before) / times as f32;
            }
        }
        Ok(mean)
    }

    fn predict(&self, loaded: &Loaded, latents: Tensor<4>) -> Result<Vec<f32>> {
        let mut added = None;
        if self.tensors.has(&format!("{}.pooled", self.name)) {
            let time_ids = self.tensors.f32(&format!("{}.time_ids", self.name))?.as_chunks().0.to_vec();
            added = Some(AddedConditioning { pooled: self.input("pooled")?, time_ids });
        }
        let conditioning = Conditioning { context: self.input("context")?, added };
        let times = self.tensors.f32(&format!("{}.timestep", self.name))?;
        values(loaded.bundle.unet.forward(latents, &times, conditioning, &loaded.attached.unet))
    }

    /// The first `count` numbers of the last states of a checkpoint's first text encoder, normed.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn text_states(&self, model: &Path, count: usize) -> Result<Vec<f32>> {
        let checkpoint = Checkpoint::open_for(Purpose::Painting, model, None)?;
        let model = TextModel { states: States::Normed, pools: false, ..text_models(self.family)[0] };
        let mut matrices = Vec::new();
        let mut loader = Loader::new(&checkpoint, model.part);
        let builder = Builder::new(&mut loader, WeightDtype::F32, &mut matrices);
        let text = TextEncoder::build(builder, model, Projection::AsHosts);
        loader.finish()?;
        for source in &matrices {
            source.matrix.read().map_err(|problems| anyhow::anyhow!("{}: {problems:?}", source.path))?;
        }
        let recorded = self.tensors.f32(&format!("{}.ids", self.name))?;
        let ids: [u32; 77] = std::array::from_fn(|place| recorded[place] as u32);
        let encoded = text.forward(TextInput::plain(&[ids], 1), 1, &Device::flex(), &Adapters::default());
        let mut states = values(encoded.context)?;
        states.truncate(count);
        Ok(states)
    }
    /// Recorded states of a checkpoint's first text encoder, which are those in front of its final layer norm, normed.
    ///
    /// # Errors
    /// When files cannot be read.
    pub fn normed(&self, model: &Path, recorded: &[f32]) -> Result<Vec<f32>> {
        const EPSILON: f64 = 1e-5;
        let checkpoint = Checkpoint::open_for(Purpose::Painting, model, None)?;
        let mut loader = Loader::new(&checkpoint, text_models(self.family)[0].part);
        let name = |leaf: &str| format!("text_model.final_layer_norm.{leaf}");
        let shape = loader.shape(&name("weight")).context("a text encoder without a final norm")?;
        let weight = loader.take(&name("weight"), &shape);
        let bias = loader.take(&name("bias"), &shape);
        let mut normed = Vec::new();
        for row in recorded.chunks_exact(weight.len()) {
            let count = row.len() as f64;
            let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
            let variance = row.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
            for (place, value) in row.iter().enumerate() {
                let unit = (f64::from(*value) - mean) / (variance + EPSILON).sqrt();
                normed.push((unit * f64::from(weight[place]) + f64::from(bias[place])) as f32);
            }
        }
        Ok(normed)
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_into_vec().map_err(|error| anyhow::anyhow!("{error:?}"))
}
