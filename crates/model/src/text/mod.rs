//! CLIP's text encoder (Radford et al. 2021; names as in transformers' `CLIPTextModel`).

mod layer;
mod states;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::{FrozenMatrix, LayerNorm, Storage};

use crate::nn::Builder;
use crate::tokenizer::ROW;
use layer::Layer;

pub use states::join_chunks;

/// The text encoder.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    tokens: FrozenMatrix,
    positions: FrozenMatrix,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    sites: Sites,
}

impl TextEncoder {
    /// Reads the network; sizes come from the file's header.
    pub fn build(mut b: Builder<'_, '_>) -> Self {
        let embeddings = "text_model.embeddings";
        let [vocabulary, width] = b.dims(&format!("{embeddings}.token_embedding.weight"));
        let tokens = b.loader.take(&format!("{embeddings}.token_embedding.weight"), &[vocabulary, width]);
        let positions = b.loader.take(&format!("{embeddings}.position_embedding.weight"), &[ROW, width]);
        let count = b.count(|i| format!("text_model.encoder.layers.{i}.layer_norm1.weight"));
        Self {
            tokens: FrozenMatrix::new(vocabulary, width, tokens, Storage::F32),
            positions: FrozenMatrix::new(ROW, width, positions, Storage::F32),
            layers: (0..count)
                .map(|i| Layer::build(&mut b, &format!("text_model.encoder.layers.{i}"), width))
                .collect(),
            final_layer_norm: b.layer_norm("text_model.final_layer_norm", width),
            sites: b.sites,
        }
    }

    /// The layers that adapters may attach to.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Number of layers, the largest `clip_skip`.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Hidden states after all but `clip_skip − 1` layers, through the final layer norm.
    ///
    /// # Shapes
    /// - ids: N rows of 77 tokens
    /// - output: [N, 77, D]
    pub fn forward(&self, ids: &[[u32; ROW]], clip_skip: usize, device: &Device, adapters: &Adapters) -> Tensor<3> {
        let used = self.layers.len().saturating_sub(clip_skip.saturating_sub(1)).max(1);
        let x = self.layers[..used].iter().fold(self.embed(ids, device), |x, layer| layer.forward(x, adapters));
        self.final_layer_norm.forward(x)
    }

    /// Token plus position embeddings; frozen, so they need no tape.
    fn embed(&self, ids: &[[u32; ROW]], device: &Device) -> Tensor<3> {
        let width = self.tokens.columns();
        let mut numbers = Vec::with_capacity(ids.len() * ROW * width);
        for row in ids {
            for (position, id) in row.iter().enumerate() {
                let (token, place) = (self.tokens.row(*id as usize), self.positions.row(position));
                numbers.extend(token.iter().zip(place).map(|(t, p)| t + p));
            }
        }
        Tensor::from_data(TensorData::new(numbers, [ids.len(), ROW, width]), device)
    }
}
