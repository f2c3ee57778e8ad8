//! CLIP's text encoder (Radford et al. 2021; names as in transformers' `CLIPTextModel`), OpenAI's and OpenCLIP's.

mod input;
mod layer;
mod states;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::{FrozenLinear, FrozenMatrix};

use crate::conditioning::Encoded;
use crate::family::{States, TextModel};
use crate::nn::{Builder, LayerNorm};
use crate::tokenizer::CHUNK_IDS;
use layer::Layer;

pub use input::{PlacedVectors, TextInput};
pub use states::join_chunks;

/// The text encoder.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    model: TextModel,
    token_embedding: FrozenMatrix,
    position_embedding: FrozenMatrix,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<FrozenLinear>,
    sites: Sites,
}

/// How OpenCLIP's projection of the pooled output is applied. Its file has the matrix for `x @ P`.
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
        let token_embedding = b.table(&format!("{embeddings}.token_embedding"), [vocabulary, width]);
        let position_embedding = b.table(&format!("{embeddings}.position_embedding"), [CHUNK_IDS, width]);
        let count = b.count(|index| format!("text_model.encoder.layers.{index}.layer_norm1.weight"));
        let mut layers = Vec::new();
        for index in 0..count {
            let path = format!("text_model.encoder.layers.{index}");
            if index < model.layers {
                layers.push(Layer::build(&mut b, &path, width, model.activation));
            } else {
                b.loader.leave(&format!("{path}."));
            }
        }
        let final_layer_norm = b.layer_norm("text_model.final_layer_norm", width);
        let text_projection = if model.pools { Some(build_text_projection(&mut b, width, projection)) } else { None };
        let sites = b.sites;
        Self { model, token_embedding, position_embedding, layers, final_layer_norm, text_projection, sites }
    }

    /// What is known of this encoder beside its sizes.
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

    /// Width of its states, and so of the vectors that can stand in for tokens.
    pub fn width(&self) -> usize {
        self.token_embedding.columns()
    }

    /// Hidden states of prompts of as many chunks each: after all but `clip_skip − 1` layers, through the final
    /// layer norm, or as the family has it; and the pooled output of the first chunk of each prompt.
    ///
    /// # Shapes
    /// - input: B·n chunks of 77 ids, the n chunks of a prompt one after another
    /// - context: [B, 77 | 152 | 227, D]
    /// - pooled: [B, P]
    pub fn forward(&self, input: TextInput<'_>, clip_skip: usize, device: &Device, adapters: &Adapters) -> Encoded {
        let TextInput { ids, chunks_per_prompt, .. } = input;
        let depth = self.layers.len();
        let wanted = match self.model.states {
            States::Normed => depth.saturating_sub(clip_skip.saturating_sub(1)).max(1),
            States::Penultimate => depth.saturating_sub(1).max(1),
        };
        let mut x = self.embed(input, device);
        for layer in &self.layers[..wanted] {
            x = layer.forward(x, adapters);
        }
        let states = match self.model.states {
            States::Normed => self.final_layer_norm.forward(x.clone(), adapters),
            States::Penultimate => x.clone(),
        };
        let mut pooled = None;
        if let Some(text_projection) = &self.text_projection {
            for layer in &self.layers[wanted..] {
                x = layer.forward(x, adapters);
            }
            let end = self.final_layer_norm.forward(states::at_first_end(&x, ids, chunks_per_prompt), adapters);
            let [batch, _, width] = end.dims();
            pooled = Some(text_projection.forward(end.reshape([batch, width])));
        }
        Encoded { context: join_chunks(states, chunks_per_prompt), pooled }
    }

    /// Token plus position embeddings; frozen, so they need no tape.
    fn embed(&self, input: TextInput<'_>, device: &Device) -> Tensor<3> {
        let ids = input.ids;
        let width = self.token_embedding.columns();
        let mut embeddings = self.token_embedding.gather(ids.as_flattened().iter().map(|id| *id as usize));
        for vectors in input.vectors {
            vectors.put(&mut embeddings, width);
        }
        let positions = self.position_embedding.gather(0..CHUNK_IDS);
        for chunk in embeddings.chunks_exact_mut(positions.len()) {
            for (value, position) in chunk.iter_mut().zip(&positions) {
                *value += position;
            }
        }
        Tensor::from_data(TensorData::new(embeddings, [ids.len(), CHUNK_IDS, width]), device)
    }
}

/// The projection of the pooled output.
fn build_text_projection(b: &mut Builder<'_, '_>, width: usize, projection: Projection) -> FrozenLinear {
    const PATH: &str = "text_projection";
    let [rows, columns] = b.dims(&format!("{PATH}.weight"));
    // The file's matrix has a row for each input; sd-scripts takes it for one of outputs, which needs a square one.
    let outputs = if projection == Projection::AsHosts { columns } else { rows };
    let weight = b.table_by(PATH, [width, outputs], [outputs, width], move |values| match projection {
        Projection::AsTrainer => values,
        Projection::AsHosts => transposed(&values, outputs),
    });
    FrozenLinear::new(weight, None)
}

/// The transpose of a row-major matrix of `columns` columns.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend(values.iter().skip(column).step_by(columns));
    }
    out
}
