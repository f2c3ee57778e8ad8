//! Prompts as token ids, and as what the text encoders make of them.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_data::caption::emphasis;
use lorabake_model::tokenizer::{self, CHUNK_IDS, Tokenizer};
use lorabake_model::{Bundle, Encoded, PromptChunks};

use super::share::share;

/// Prompts as token rows: each prompt has the same number of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// All rows for each text encoder, the rows of a prompt one after another.
    pub rows: Vec<Vec<[u32; CHUNK_IDS]>>,
    /// Rows per prompt: 1, 2 or 3.
    pub chunks: usize,
    /// What the text states of each place are multiplied by, prompt after prompt (`--weighted_captions`).
    pub weights: Option<Vec<f32>>,
    /// What the text encoders make of them, before the weights, if it is kept (`--cache_text_encoder_outputs`).
    pub kept: Option<Kept>,
}

/// What text encoders make of prompts, as numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Text states, row-major.
    pub context: Vec<f32>,
    /// Summaries, row-major; empty where the family has none.
    pub pooled: Vec<f32>,
}

impl Kept {
    /// From what was just encoded.
    pub(crate) fn of(encoded: Encoded) -> Self {
        let pooled = encoded.pooled.map(|pooled| pooled.into_data().try_into_vec().expect("f32 summaries"));
        let context = encoded.context.into_data().try_into_vec().expect("f32 states");
        Self { context, pooled: pooled.unwrap_or_default() }
    }

    /// As tensors, for `batch` prompts of `places` states each.
    fn tensors(&self, [batch, places]: [usize; 2], device: &Device) -> Encoded {
        let shape = [batch, places, self.context.len() / (batch * places)];
        let pooled = (!self.pooled.is_empty()).then(|| {
            let shape = [batch, self.pooled.len() / batch];
            Tensor::from_data(TensorData::new(self.pooled.clone(), shape), device)
        });
        Encoded { context: Tensor::from_data(TensorData::new(self.context.clone(), shape), device), pooled }
    }
}

impl Tokens {
    /// Tokenizes prompts for a `max_token_length` of 75, 150 or 225 and text encoders with these `paddings`; if
    /// `weighted`, brackets in them are weights.
    pub fn new<'p>(
        tokenizer: &Tokenizer,
        prompts: impl IntoIterator<Item = &'p str>,
        max_token_length: u32,
        weighted: bool,
        paddings: &[u32],
    ) -> Self {
        let (mut rows, mut weights) = (vec![Vec::new(); paddings.len()], Vec::new());
        for prompt in prompts {
            let (ids, own) = weighted_ids(tokenizer, prompt, weighted);
            for (rows, padding) in rows.iter_mut().zip(paddings) {
                rows.extend(tokenizer::chunks(&ids, max_token_length, *padding));
            }
            // One for BOS, one for each place of a token, one for the last EOS: as `join_chunks` lays the states out.
            let inner = own.into_iter().chain(std::iter::repeat(1.0)).take(max_token_length as usize);
            weights.extend(std::iter::once(1.0).chain(inner).chain([1.0]));
        }
        Self { rows, chunks: max_token_length as usize / 75, weights: weighted.then_some(weights), kept: None }
    }

    /// Number of prompts.
    pub fn batch(&self) -> usize {
        self.rows[0].len() / self.chunks
    }

    /// Some of the prompts.
    pub(crate) fn part(&self, range: &Range<usize>) -> Self {
        let batch = self.batch();
        let own = |values: &Vec<f32>| share(values, range, batch).to_vec();
        Self {
            rows: self.rows.iter().map(|rows| share(rows, range, batch).to_vec()).collect(),
            chunks: self.chunks,
            weights: self.weights.as_ref().map(own),
            kept: self.kept.as_ref().map(|kept| Kept { context: own(&kept.context), pooled: own(&kept.pooled) }),
        }
    }

    /// What the UNet is told of the prompts.
    ///
    /// # Shapes
    /// - context: [B, 77 | 152 | 227, D]
    pub fn encoded(&self, bundle: &Bundle, clip_skip: u32, device: &Device, adapters: &[Adapters]) -> Encoded {
        let encoded = match &self.kept {
            Some(kept) => kept.tensors([self.batch(), 75 * self.chunks + 2], device),
            None => bundle.encode(
                PromptChunks { ids: &self.rows, per_prompt: self.chunks },
                clip_skip as usize,
                device,
                adapters,
            ),
        };
        let Some(weights) = &self.weights else { return encoded };
        let [batch, places, _] = encoded.context.dims();
        let weights = Tensor::from_data(TensorData::new(weights.clone(), [batch, places, 1]), device);
        Encoded { context: encoded.context * weights, ..encoded }
    }
}

/// The token ids of a prompt with the weight of each. Parts of different weight are tokenized apart.
pub fn weighted_ids(tokenizer: &Tokenizer, prompt: &str, weighted: bool) -> (Vec<u32>, Vec<f32>) {
    if !weighted {
        let ids = tokenizer.encode(prompt);
        let weights = vec![1.0; ids.len()];
        return (ids, weights);
    }
    let (mut ids, mut weights) = (Vec::new(), Vec::new());
    for part in emphasis::parse(prompt) {
        ids.extend(tokenizer.encode(&part.text));
        weights.resize(ids.len(), part.weight as f32);
    }
    (ids, weights)
}
