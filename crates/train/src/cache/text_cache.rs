//! What the frozen text encoder makes of the captions, each encoded once (`--cache_text_encoder_outputs`).
//!
//! sd-scripts has this option, and files for it, for SDXL and newer models only. Here it works for all families, in
//! memory.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::Device;
use lorabake_data::{Dataset, caption};
use lorabake_model::Bundle;
use lorabake_model::family::paddings;
use lorabake_model::tokenizer::{CHUNK_IDS, Tokenizer};
use lorabake_recipe::Recipe;
use lorabake_recipe::seed::{Seed, UseId};

use super::tokens::{Kept, Tokens};

/// What the text encoders make of prompts, by the first one's token rows, before the weights of `--weighted_captions`.
#[derive(Debug, Clone)]
pub(crate) struct TextCache(BTreeMap<Vec<[u32; CHUNK_IDS]>, Kept>);

impl TextCache {
    /// Encodes every caption of the data set. The recipe has made sure that nothing changes them from use to use.
    pub fn fill(bundle: &Bundle, device: &Device, tokenizer: &Tokenizer, dataset: &Dataset, recipe: &Recipe) -> Self {
        let model = &recipe.model;
        let weighted = recipe.data.captions.weighted;
        let mut kept = BTreeMap::new();
        for item in &dataset.items {
            let rules = &dataset.settings(&recipe.data, item).captions;
            let any_use = caption::CaptionUse { id: UseId { epoch: 0, position: 0 }, step: 0, steps: 1 };
            let prompt = caption::draw(&item.caption, rules, Seed(recipe.train.seed), any_use);
            let paddings = paddings(bundle.family);
            let mut tokens = Tokens::new(tokenizer, [prompt.as_str()], model.max_token_length, weighted, &paddings);
            tokens.weights = None;
            let encode = || Kept::of(tokens.encoded(bundle, model.clip_skip, device, &[]));
            kept.entry(tokens.rows[0].clone()).or_insert_with(encode);
        }
        Self(kept)
    }

    /// What was made of these prompts, one after another.
    ///
    /// # Errors
    /// If one of them is no caption of the data set.
    pub fn look_up(&self, tokens: &Tokens) -> Result<Kept> {
        let mut all = Kept::default();
        for rows in tokens.rows[0].chunks(tokens.chunks) {
            let one =
                self.0.get(rows).context("cache_text_encoder_outputs: this caption was not encoded beforehand")?;
            all.context.extend(&one.context);
            all.pooled.extend(&one.pooled);
        }
        Ok(all)
    }
}
