//! Sinusoidal time embedding and its two linear layers; for SDXL, what is added to it of prompt and sizes.

use burn::tensor::{Device, Tensor, TensorData, activation};
use lorabake_adapter::{Adapters, Role};

use crate::conditioning::Added;
use crate::nn::{Builder, Linear};

/// Width of the sinusoids of one size.
const SIZE_WIDTH: usize = 256;

#[derive(Debug, Clone)]
pub(super) struct TimeEmbedding {
    width: usize,
    linear_1: Linear,
    linear_2: Linear,
    added: Option<[Linear; 2]>,
}

impl TimeEmbedding {
    /// `width` is that of the first convolution; the embedding is four times as wide.
    pub fn build(b: &mut Builder<'_, '_>, width: usize) -> Self {
        let linear_1 = b.linear("time_embedding.linear_1", [width, 4 * width], Role::Stem);
        let linear_2 = b.linear("time_embedding.linear_2", [4 * width, 4 * width], Role::Stem);
        let added = b.has("add_embedding.linear_1.weight").then(|| {
            let [_, inputs] = b.dims("add_embedding.linear_1.weight");
            [("add_embedding.linear_1", inputs), ("add_embedding.linear_2", 4 * width)]
                .map(|(path, inputs)| b.linear(path, [inputs, 4 * width], Role::Stem))
        });
        Self { width, linear_1, linear_2, added }
    }

    /// The embedding after the SiLU with which every residual block would begin: [B, 4·width].
    ///
    /// # Panics
    /// If the network wants something added and there is nothing.
    pub fn forward(&self, timesteps: &[f32], added: Option<&Added>, device: &Device, adapters: &Adapters) -> Tensor<2> {
        let waves = TensorData::new(sinusoids(timesteps, self.width), [timesteps.len(), self.width]);
        let x = self.linear_1.forward(Tensor::<2>::from_data(waves, device), adapters);
        let time = self.linear_2.forward(activation::silu(x), adapters);
        let Some([first, second]) = &self.added else { return activation::silu(time) };
        let Added { pooled, sizes } = added.expect("SDXL is told of prompt and sizes");
        let waves = sinusoids(sizes.as_flattened(), SIZE_WIDTH);
        let waves = TensorData::new(waves, [sizes.len(), sizes.as_flattened().len() / sizes.len() * SIZE_WIDTH]);
        let vector = Tensor::cat(vec![pooled.clone(), Tensor::from_data(waves, device)], 1);
        let vector = second.forward(activation::silu(first.forward(vector, adapters)), adapters);
        activation::silu(time + vector)
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
