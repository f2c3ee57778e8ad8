//! How much memory a run needs, how much there is, and which settings would save how much.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_device::free_memory;
use lorabake_generate::sample::Request;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_recipe::Recipe;
use lorabake_recipe::network::Scope;
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::train::{Fp8, Precision, Recompute};
use lorabake_weights::Checkpoint;
use serde::{Deserialize, Serialize};

use super::memory_model::{Demands, Memory, ParameterCounts};
use crate::precision::training_dtypes;
use crate::swap::largest_blocks;

/// Savings below this are not worth a word, in bytes.
const WORTH: u64 = 50_000_000;

/// A setting that would make the run need less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saving {
    /// As typed.
    pub option: String,
    /// Bytes of the peak.
    pub bytes: u64,
}

/// Where weights are held, which says what may make them smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// In main memory; blocks may stay in the file.
    InMemory,
    /// On a GPU's card, all of them.
    OnCard,
}

/// What a run needs and what the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Predicted peak, in bytes.
    pub peak: u64,
    /// What is free or can be freed, in bytes; `None` where the system does not say.
    pub available: Option<u64>,
    /// The largest first.
    pub savings: Vec<Saving>,
}

/// What the memory of a run depends on, beside its recipe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryModel {
    counts: ParameterCounts,
    trained: u64,
    /// The share of the UNet that blocks left in the file leave in memory.
    unet: f64,
    /// Pixels of the largest picture that is painted.
    picture: u64,
}

impl MemoryModel {
    /// Of a run that trains so many values and paints `pictures`.
    ///
    /// # Errors
    /// When blocks are to be left in the file and the checkpoint's networks do not fit.
    pub fn of(checkpoint: &Checkpoint, trained: u64, recipe: &Recipe, pictures: &[Request]) -> Result<Self> {
        let swapped = recipe.train.swapped;
        let unet = match swapped {
            0 => 1.0,
            _ => held_share(
                &Bundle::open(checkpoint, VaeHalves::Training, training_dtypes(&recipe.train, &Device::flex()))?,
                swapped,
            ),
        };
        let picture = pictures.iter().map(|request| (request.width * request.height) as u64).max().unwrap_or(0);
        Ok(Self { counts: ParameterCounts::of(checkpoint), trained, unet, picture })
    }

    /// With `recipe`, which may differ from that of [`Self::of`] in anything but the blocks that stay in the file.
    pub fn memory(&self, recipe: &Recipe) -> Memory {
        let demands = Demands { texts: !recipe.caches.text_outputs, unet: self.unet, picture: self.picture };
        Memory::of(self.counts, self.trained, recipe, demands)
    }

    /// What single settings would save of the peak, the largest first.
    pub fn savings(&self, recipe: &Recipe, weights: Weights) -> Vec<Saving> {
        let peak = self.memory(recipe).peak();
        let saved = |option: String, other: &Recipe| {
            let bytes = peak.saturating_sub(self.memory(other).peak());
            Saving { option, bytes }
        };
        let mut savings: Vec<Saving> =
            alternatives(recipe).into_iter().map(|(option, other)| saved(option, &other)).collect();
        if self.unet == 1.0 && weights == Weights::InMemory {
            let all_swapped = Self { unet: 0.0, ..*self }.memory(recipe).peak();
            let option = "--blocks_to_swap=25 (all of them, slower)".to_string();
            savings.push(Saving { option, bytes: peak.saturating_sub(all_swapped) });
        }
        savings.retain(|saving| saving.bytes >= WORTH);
        savings.sort_by_key(|saving| std::cmp::Reverse(saving.bytes));
        savings
    }

    /// All that there is to say before the run.
    pub fn report(&self, recipe: &Recipe) -> MemoryReport {
        MemoryReport {
            peak: self.memory(recipe).peak(),
            available: free_memory(),
            savings: self.savings(recipe, Weights::InMemory),
        }
    }
}

/// The share of the UNet's matrices that stays in memory if so many blocks don't.
fn held_share(bundle: &Bundle, swapped: usize) -> f64 {
    let swapped = largest_blocks(bundle, swapped);
    let (mut all, mut held) = (0, 0);
    for (path, bytes) in bundle.matrices(lorabake_weights::Part::Unet) {
        all += bytes;
        held += if swapped.holds(path) { 0 } else { bytes };
    }
    held as f64 / all.max(1) as f64
}

/// The recipe with one setting changed, for each that takes less memory.
fn alternatives(recipe: &Recipe) -> Vec<(String, Recipe)> {
    let mut found = Vec::new();
    let mut add = |option: &str, change: &dyn Fn(&mut Recipe)| {
        let mut other = recipe.clone();
        change(&mut other);
        found.push((option.to_string(), other));
    };
    let train = &recipe.train;
    if train.precision != Precision::Bf16 {
        add("--mixed_precision=bf16", &|other| {
            (other.train.precision, other.train.vae) = (Precision::Bf16, Precision::Bf16);
        });
    }
    if train.fp8 != Fp8::All {
        let fp8 = |other: &mut Recipe| (other.train.precision, other.train.fp8) = (Precision::Bf16, Fp8::All);
        add("--mixed_precision=bf16 --fp8_base", &fp8);
    }
    if train.recompute != Recompute::All {
        add("--gradient_checkpointing", &|other| other.train.recompute = Recompute::All);
    }
    if recipe.data.batch_size > 1 {
        let option = format!("--train_batch_size=1 --gradient_accumulation_steps={}", recipe.data.batch_size);
        add(&option, &|other| other.data.batch_size = 1);
    }
    if recipe.data.resolution.0 > 512 || recipe.data.resolution.1 > 512 {
        add("--resolution=512", &|other| other.data.resolution = (512, 512));
    }
    if !recipe.caches.text_outputs {
        let option = match recipe.network.scope {
            Scope::UnetOnly => "--cache_text_encoder_outputs",
            _ => "--network_train_unet_only --cache_text_encoder_outputs",
        };
        add(option, &|other| other.caches.text_outputs = true);
    }
    if matches!(recipe.optim.optimizer, Optimizer::AdamW(_))
        && let Some(eight) = Optimizer::named("AdamW8bit")
    {
        add("--optimizer_type=AdamW8bit", &|other| other.optim.optimizer = eight.clone());
    }
    found
}
