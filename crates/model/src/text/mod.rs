//! CLIP's text encoder (Radford et al. 2021; names as in transformers' `CLIPTextModel`), OpenAI's and OpenCLIP's.

mod layer;
mod states;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::{FrozenLinear, FrozenMatrix, LayerNorm, WeightDtype};

use crate::conditioning::Encoded;
use crate::family::{States, TextModel};
use crate::nn::Builder;
use crate::tokenizer::ROW;
use layer::Layer;

pub use states::join_chunks;

/// The text encoder.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    model: TextModel,
    tokens: FrozenMatrix,
    positions: FrozenMatrix,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<FrozenLinear>,
    sites: Sites,
}

/// How OpenCLIP's projection of the pooled state is applied. Its file has the matrix for `x @ P`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// As `x @ P`: diffusers and the web UIs.
    AsHosts,
    /// As the weight of a linear layer, `x @ Pᵀ`: sd-scripts, which trains all LoRAs for SDXL that way.
    AsTrainer,
}

impl TextEncoder {
    /// Reads the network; sizes come from the file's header.
    pub fn build(mut b: Builder<'_, '_>, model: TextModel, projection: Projection) -> Self {
        let embeddings = "text_model.embeddings";
        let [vocabulary, width] = b.dims(&format!("{embeddings}.token_embedding.weight"));
        let mut table = |name: &str, rows: usize| {
            let extents = [rows, width];
            b.matrix_by(&format!("{embeddings}.{name}"), &extents, (extents, WeightDtype::F32), |values| values)
        };
        let (tokens, positions) = (table("token_embedding", vocabulary), table("position_embedding", ROW));
        let layer = |index: usize| format!("text_model.encoder.layers.{index}");
        let count = b.count(|index| format!("{}.layer_norm1.weight", layer(index)));
        let used = count.min(model.layers);
        (used..count).for_each(|index| b.loader.leave(&format!("{}.", layer(index))));
        Self {
            model,
            tokens,
            positions,
            layers: (0..used).map(|index| Layer::build(&mut b, &layer(index), width, model.activation)).collect(),
            final_layer_norm: b.layer_norm("text_model.final_layer_norm", width),
            text_projection: model.pools.then(|| pooling(&mut b, width, projection)),
            sites: b.sites,
        }
    }

    /// What is known of it beside its sizes.
    pub fn model(&self) -> &TextModel {
        &self.model
    }

    /// The layers that adapters may attach to.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Number of layers, the largest `clip_skip`.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Hidden states of prompts of `chunks` rows each: after all but `clip_skip − 1` layers, through the final layer
    /// norm, or as the family has it; and the summary of the first row of each prompt.
    ///
    /// # Shapes
    /// - ids: B·n rows of 77 tokens
    /// - context: [B, 77 | 152 | 227, D]
    /// - pooled: [B, P]
    pub fn forward(
        &self,
        (ids, chunks): (&[[u32; ROW]], usize),
        clip_skip: usize,
        device: &Device,
        adapters: &Adapters,
    ) -> Encoded {
        let depth = self.layers.len();
        let wanted = match self.model.states {
            States::Normed => depth.saturating_sub(clip_skip.saturating_sub(1)).max(1),
            States::Penultimate => depth.saturating_sub(1).max(1),
        };
        let through = |x, layers: &[Layer]| layers.iter().fold(x, |x: Tensor<3>, layer| layer.forward(x, adapters));
        let x = through(self.embed(ids, device), &self.layers[..wanted]);
        let pooled = self.text_projection.as_ref().map(|projection| {
            let last = through(x.clone(), &self.layers[wanted..]);
            let end = self.final_layer_norm.forward(states::at_first_end(&last, ids, chunks));
            let [batch, _, width] = end.dims();
            projection.forward(end.reshape([batch, width]))
        });
        let states = match self.model.states {
            States::Normed => self.final_layer_norm.forward(x),
            States::Penultimate => x,
        };
        Encoded { context: join_chunks(states, chunks), pooled }
    }

    /// Token plus position embeddings; frozen, so they need no tape.
    fn embed(&self, ids: &[[u32; ROW]], device: &Device) -> Tensor<3> {
        let width = self.tokens.columns();
        let tokens = self.tokens.gather(ids.iter().flatten().map(|id| *id as usize));
        let places = self.positions.gather(0..ROW);
        let numbers: Vec<f32> = tokens.iter().zip(places.iter().cycle()).map(|(token, place)| token + place).collect();
        Tensor::from_data(TensorData::new(numbers, [ids.len(), ROW, width]), device)
    }
}

/// The projection of the pooled state.
fn pooling(b: &mut Builder<'_, '_>, width: usize, projection: Projection) -> FrozenLinear {
    const PATH: &str = "text_projection";
    let [rows, columns] = b.dims(&format!("{PATH}.weight"));
    // The file's matrix has a row for each input; sd-scripts takes it for one of outputs, which needs a square one.
    let outputs = if projection == Projection::AsHosts { columns } else { rows };
    let turned = move |values: Vec<f32>| match projection {
        Projection::AsTrainer => values,
        Projection::AsHosts => {
            let column = |column: usize| values.iter().skip(column).step_by(outputs.max(1)).copied();
            (0..outputs).flat_map(column).collect()
        }
    };
    let weight = b.matrix_by(PATH, &[width, outputs], ([outputs, width], WeightDtype::F32), turned);
    FrozenLinear::new(weight, None)
}
