//! The texts of one call through the text encoders.

use std::collections::HashMap;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};
use lorabake_lora::Attached;
use lorabake_model::Bundle;
use lorabake_model::text::{PlacedVectors, TextEncoder, TextInput};
use lorabake_model::{Conditioning, Encoded};
use lorabake_weights::Family;

use super::ToldSizes;
use super::chunks::{Chunk, Chunks, Layout, empty, lay_out};
use super::weighting::weigh;
use crate::embedding::EmbeddingTable;
use crate::prompt::emphasis::{Emphasis, parse};

/// Most chunks of a text: the UNet attends to all of them at every step.
const MOST_CHUNKS: usize = 100;

/// How texts are read and encoded, under the names that the web UI has for its options.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextOptions {
    /// 1 = the text encoder's last layer, 2 = the one before, and so on. SD2.x and SDXL do not heed it.
    pub clip_skip: usize,
    /// What brackets and weights do.
    pub emphasis: Emphasis,
    /// How many places back in a full chunk a comma is looked for.
    pub comma_backtrack: usize,
    /// What SDXL is told of sizes.
    pub sizes: ToldSizes,
}

/// All that turns texts into conditioning.
#[derive(Debug, Clone, Copy)]
pub struct Encoders<'a> {
    /// The networks.
    pub bundle: &'a Bundle,
    /// Adapters of the text encoders.
    pub adapters: &'a Attached,
    /// Names that stand for vectors.
    pub embeddings: &'a EmbeddingTable,
    /// How texts are read.
    pub options: TextOptions,
    /// Where the networks are computed.
    pub device: &'a Device,
}

impl Encoders<'_> {
    /// Encodes texts that share a call, for a picture of `size` [width, height]; with `negative`, texts that are all empty
    /// become zeros where the family wants that (SDXL).
    ///
    /// # Errors
    /// When a text's emphasis cannot be read.
    pub fn encode(&self, texts: &[&str], size: [usize; 2], negative: bool) -> Result<Vec<Conditioning>> {
        let laid_out = self.chunks(texts)?;
        let longest = laid_out.iter().flatten().map(|text| text.chunks.len()).max().unwrap_or(1);
        if longest > MOST_CHUNKS {
            bail!("a prompt takes {longest} chunks of 75 tokens; {MOST_CHUNKS} are the most");
        }
        let mut contexts: Vec<Vec<Tensor<3>>> = vec![Vec::new(); texts.len()];
        let mut pooled: Vec<Option<Tensor<2>>> = vec![None; texts.len()];
        for (index, encoder) in self.bundle.texts.iter().enumerate() {
            let filled = filled(&laid_out[index], longest, &self.layout(encoder, index));
            let encoded = self.encode_by(encoder, index, &filled);
            for (text, own) in encoded.into_iter().enumerate() {
                contexts[text].push(own.context);
                pooled[text] = pooled[text].take().or(own.pooled);
            }
        }
        let zero = negative && self.bundle.family == Family::Sdxl && texts.iter().all(|text| text.is_empty());
        let mut conditions = Vec::with_capacity(texts.len());
        for (context, pooled) in contexts.into_iter().zip(pooled) {
            let mut encoded = Encoded { context: Tensor::cat(context, 2), pooled };
            if zero {
                encoded = zeros_like(&encoded);
            }
            conditions.push(encoded.with(vec![self.options.sizes.numbers(size, negative)]));
        }
        Ok(conditions)
    }

    /// The chunks of each text, for each text encoder.
    ///
    /// # Errors
    /// When a text's emphasis cannot be read.
    pub fn chunks(&self, texts: &[&str]) -> Result<Vec<Vec<Chunks>>> {
        let mut by_encoder = Vec::new();
        for (index, encoder) in self.bundle.texts.iter().enumerate() {
            let layout = self.layout(encoder, index);
            let mut chunks = Vec::with_capacity(texts.len());
            for text in texts {
                chunks.push(lay_out(&parse(text, self.options.emphasis)?, &layout));
            }
            by_encoder.push(chunks);
        }
        Ok(by_encoder)
    }

    fn layout(&self, encoder: &TextEncoder, index: usize) -> Layout<'_> {
        Layout {
            cleaning: encoder.model().cleaning,
            padding: encoder.model().padding,
            comma_backtrack: self.options.comma_backtrack,
            embeddings: self.embeddings.names(index),
        }
    }

    /// The states and pooled output of each text, [1, T, D] and [1, P].
    fn encode_by(&self, encoder: &TextEncoder, index: usize, texts: &[Vec<Chunk>]) -> Vec<Encoded> {
        let mut different: Vec<&Chunk> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        // For each chunk of each text, which of the different ones it is; weights act afterwards.
        let mut which: Vec<Vec<usize>> = Vec::with_capacity(texts.len());
        for text in texts {
            let mut own = Vec::with_capacity(text.len());
            for chunk in text {
                let place = *places.entry(format!("{:?}{:?}", chunk.ids, chunk.fixes)).or_insert(different.len());
                if place == different.len() {
                    different.push(chunk);
                }
                own.push(place);
            }
            which.push(own);
        }
        let ids: Vec<_> = different.iter().map(|chunk| chunk.ids).collect();
        let adapters = &self.adapters.texts[index];
        let mut vectors = Vec::new();
        for (number, chunk) in different.iter().enumerate() {
            for fix in &chunk.fixes {
                let rows = &self.embeddings.vectors(index, fix.embedding).rows;
                vectors.push(PlacedVectors { chunk: number, place: fix.offset + 1, rows });
            }
        }
        let input = TextInput { ids: &ids, chunks_per_prompt: 1, vectors: &vectors };
        // The web UI does not heed clip skip with SD2.x; sd-scripts does.
        let clip_skip = if self.bundle.family == Family::Sd2 { 1 } else { self.options.clip_skip };
        let encoded = encoder.forward(input, clip_skip, self.device, adapters);
        let of_chunk = |place: usize| encoded.context.clone().narrow(0, place, 1);
        let mut parts: Vec<Vec<Tensor<3>>> = vec![Vec::new(); texts.len()];
        for chunk in 0..which[0].len() {
            let states = Tensor::cat(which.iter().map(|own| of_chunk(own[chunk])).collect(), 0);
            let weights: Vec<f32> =
                texts.iter().flat_map(|text| text[chunk].weights).map(|weight| weight as f32).collect();
            let states = weigh(states, &weights, self.options.emphasis);
            for (text, part) in parts.iter_mut().enumerate() {
                part.push(states.clone().narrow(0, text, 1));
            }
        }
        let mut all = Vec::with_capacity(texts.len());
        for (own, part) in which.iter().zip(parts) {
            let pooled = encoded.pooled.as_ref().map(|pooled| pooled.clone().narrow(0, own[0], 1));
            all.push(Encoded { context: Tensor::cat(part, 1), pooled });
        }
        all
    }
}

/// Every text with as many chunks as the longest.
fn filled(texts: &[Chunks], longest: usize, layout: &Layout<'_>) -> Vec<Vec<Chunk>> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let mut chunks = text.chunks.clone();
        chunks.resize_with(longest, || empty(layout));
        all.push(chunks);
    }
    all
}

fn zeros_like(encoded: &Encoded) -> Encoded {
    Encoded { context: encoded.context.zeros_like(), pooled: encoded.pooled.as_ref().map(|pooled| pooled.zeros_like()) }
}
