//! Sinusoidal time embedding and its two linear layers; for SDXL, the embedding of prompt and sizes that is added to it.

use burn::tensor::{Device, Tensor, TensorData, activation};
use lorabake_adapter::{Adapters, Role};

use crate::conditioning::AddedConditioning;
use crate::nn::{Builder, Linear};

/// Width of the sinusoids of one time id.
const SIZE_WIDTH: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct TimeEmbedding {
    width: usize,
    linear_1: Linear,
    linear_2: Linear,
    add_embedding: Option<AddEmbedding>,
}

/// SDXL's embedding of pooled output and sizes.
#[derive(Debug, Clone)]
struct AddEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeEmbedding {
    /// `width` is that of the first convolution; the embedding is four times as wide.
    pub fn build(b: &mut Builder<'_, '_>, width: usize) -> Self {
        let linear_1 = b.linear("time_embedding.linear_1", [width, 4 * width], Role::Stem);
        let linear_2 = b.linear("time_embedding.linear_2", [4 * width, 4 * width], Role::Stem);
        let mut add_embedding = None;
        if b.has("add_embedding.linear_1.weight") {
            add_embedding = Some(AddEmbedding::build(b, 4 * width));
        }
        Self { width, linear_1, linear_2, add_embedding }
    }

    /// Whether the network is given more than the time: prompt and sizes, as SDXL is.
    pub fn takes_added(&self) -> bool {
        self.add_embedding.is_some()
    }

    /// The embedding after the SiLU with which every residual block would begin.
    ///
    /// # Shapes
    /// - timesteps: B
    /// - output: [B, 4·width]
    ///
    /// # Panics
    /// If the network wants something added and there is nothing.
    pub fn forward(
        &self,
        timesteps: &[f32],
        added: Option<&AddedConditioning>,
        device: &Device,
        adapters: &Adapters,
    ) -> Tensor<2> {
        let waves = TensorData::new(sinusoids(timesteps, self.width), [timesteps.len(), self.width]);
        let x = self.linear_1.forward(Tensor::<2>::from_data(waves, device), adapters);
        let mut x = self.linear_2.forward(activation::silu(x), adapters);
        if let Some(add_embedding) = &self.add_embedding {
            x = x + add_embedding.forward(added.expect("SDXL is given prompt and sizes"), device, adapters);
        }
        activation::silu(x)
    }
}

impl AddEmbedding {
    fn build(b: &mut Builder<'_, '_>, width: usize) -> Self {
        let [_, inputs] = b.dims("add_embedding.linear_1.weight");
        let linear_1 = b.linear("add_embedding.linear_1", [inputs, width], Role::Stem);
        let linear_2 = b.linear("add_embedding.linear_2", [width, width], Role::Stem);
        Self { linear_1, linear_2 }
    }

    /// # Shapes
    /// - output: [B, width]
    fn forward(&self, added: &AddedConditioning, device: &Device, adapters: &Adapters) -> Tensor<2> {
        let batch = added.time_ids.len();
        let waves = sinusoids(added.time_ids.as_flattened(), SIZE_WIDTH);
        let columns = waves.len() / batch;
        let time_ids = Tensor::from_data(TensorData::new(waves, [batch, columns]), device);
        let x = Tensor::cat(vec![added.pooled.clone(), time_ids], 1);
        let x = self.linear_1.forward(x, adapters);
        self.linear_2.forward(activation::silu(x), adapters)
    }
}

/// The sinusoids of each number t: cosines, then sines, of t · 10000^(−i / half) (Vaswani et al. 2017, in DDPM's order
/// flipped as SD has it).
fn sinusoids(numbers: &[f32], width: usize) -> Vec<f32> {
    let half = width / 2;
    let mut waves = Vec::with_capacity(numbers.len() * width);
    for t in numbers {
        let angle = |i: usize| t * (-(10_000f32.ln()) * i as f32 / half as f32).exp();
        waves.extend((0..half).map(|i| angle(i).cos()));
        waves.extend((0..half).map(|i| angle(i).sin()));
    }
    waves
}
