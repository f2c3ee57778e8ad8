//! Averaged weights (`--ema_decay`): an exponential moving average of what is trained, which files, pictures and
//! validation have in place of the last step's weights. The training itself does not know of it.
//!
//! Method: Polyak averaging with the warmup of diffusers' `EMAModel`, so that a short run is averaged too: after update k
//! the decay is min(decay, k / (k + 9)), and 0 after the first, which forgets where the training began.

use crate::update::max_norm::limit_norms;
use lorabake_lora::LoraNetwork;

/// The average, in the order of [`LoraNetwork::trainables`].
#[derive(Debug, Clone)]
pub struct Ema {
    decay: f64,
    values: Vec<Vec<f32>>,
}

impl Ema {
    /// The average before the first step.
    pub fn new(network: &LoraNetwork, decay: f64) -> Self {
        Self { decay, values: network.state().map(|(_, values)| values.clone()).collect() }
    }

    /// Takes in the weights after step `step`, counted from 1.
    pub fn update(&mut self, network: &LoraNetwork, step: u64) {
        let kept = if step < 2 { 0.0 } else { self.decay.min(step as f64 / (step + 9) as f64) };
        let share = (1.0 - kept) as f32;
        for (average, (_, values)) in self.values.iter_mut().zip(network.state()) {
            average.iter_mut().zip(values).for_each(|(average, value)| *average -= share * (*average - value));
        }
    }

    /// `network` with the averaged weights. With `--scale_weight_norms` they keep the limit too: a product of averages may
    /// be larger than any of the products.
    pub fn applied_to(&self, network: &LoraNetwork, max_norm: Option<f64>) -> LoraNetwork {
        let mut averaged = network.clone();
        averaged.trainables().zip(&self.values).for_each(|((values, _), average)| values.clone_from(average));
        if let Some(limit) = max_norm {
            limit_norms(&mut averaged, limit);
        }
        averaged
    }

    /// The averages, in the order of [`LoraNetwork::state`].
    pub(crate) fn values(&self) -> &[Vec<f32>] {
        &self.values
    }

    /// Goes on from averages that were saved.
    pub(crate) fn restore(&mut self, values: Vec<Vec<f32>>) {
        self.values = values;
    }
}
