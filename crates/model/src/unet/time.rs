//! Sinusoidal time embedding and its two linear layers.

use burn::tensor::{Device, Tensor, TensorData, activation};
use lorabake_adapter::{Adapters, Role};

use crate::nn::{Builder, Linear};

#[derive(Debug, Clone)]
pub(super) struct TimeEmbedding {
    width: usize,
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeEmbedding {
    /// `width` is that of the first convolution; the embedding is four times as wide.
    pub fn build(b: &mut Builder<'_, '_>, width: usize) -> Self {
        let linear_1 = b.linear("time_embedding.linear_1", [width, 4 * width], Role::Stem);
        let linear_2 = b.linear("time_embedding.linear_2", [4 * width, 4 * width], Role::Stem);
        Self { width, linear_1, linear_2 }
    }

    /// The embedding after the SiLU with which every residual block would begin: [B, 4·width].
    pub fn forward(&self, timesteps: &[f32], device: &Device, adapters: &Adapters) -> Tensor<2> {
        let waves = TensorData::new(sinusoids(timesteps, self.width), [timesteps.len(), self.width]);
        let x = self.linear_1.forward(Tensor::<2>::from_data(waves, device), adapters);
        activation::silu(self.linear_2.forward(activation::silu(x), adapters))
    }
}

/// Cosines, then sines, of t · 10000^(−i / half) (Vaswani et al. 2017, in DDPM's order flipped as SD has it).
fn sinusoids(timesteps: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    let angle = |t: f32, i: usize| t * (-(10_000f32.ln()) * i as f32 / half as f32).exp();
    let row = |t: &f32| {
        let t = *t;
        (0..half).map(move |i| angle(t, i).cos()).chain((0..half).map(move |i| angle(t, i).sin()))
    };
    timesteps.iter().flat_map(row).collect()
}
