//! What the frozen text encoder makes of the captions, each encoded once (`--cache_text_encoder_outputs`).
//!
//! sd-scripts has this option, and files for it, for SDXL and newer models only. Here it works for Stable Diffusion 1.x
//! too, in memory.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::Device;
use lorabake_adapter::Adapters;
use lorabake_data::{Dataset, caption};
use lorabake_model::Bundle;
use lorabake_model::tokenizer::{ROW, Tokenizer};
use lorabake_recipe::Recipe;
use lorabake_recipe::seed::Seed;

use crate::encode::Tokens;

/// Text states by the token rows of their prompt, before the weights of `--weighted_captions`.
#[derive(Debug, Clone)]
pub(crate) struct TextCache(BTreeMap<Vec<[u32; ROW]>, Vec<f32>>);

impl TextCache {
    /// Encodes every caption of the data set. The recipe has made sure that nothing changes them from use to use.
    pub fn fill(bundle: &Bundle, tokenizer: &Tokenizer, dataset: &Dataset, recipe: &Recipe) -> Self {
        let (model, weighted) = (&recipe.model, recipe.data.captions.weighted);
        let mut kept = BTreeMap::new();
        for item in &dataset.items {
            let rules = &dataset.settings(&recipe.data, item).captions;
            let any_use = caption::Use { epoch: 0, position: 0, step: 0, steps: 1 };
            let prompt = caption::draw(&item.caption, rules, Seed(recipe.train.seed), any_use);
            let mut tokens = Tokens::new(tokenizer, [prompt.as_str()], model.max_token_length, weighted);
            tokens.weights = None;
            let encode = || {
                let states = tokens.states(bundle, model.clip_skip, &Device::flex(), &Adapters::default());
                states.into_data().try_into_vec().expect("f32 states")
            };
            kept.entry(tokens.rows.clone()).or_insert_with(encode);
        }
        Self(kept)
    }

    /// The states of these prompts, one after another.
    ///
    /// # Errors
    /// If one of them is no caption of the data set.
    pub fn look_up(&self, tokens: &Tokens) -> Result<Vec<f32>> {
        let mut all = Vec::new();
        for rows in tokens.rows.chunks(tokens.chunks) {
            all.extend(
                self.0.get(rows).context("cache_text_encoder_outputs: this caption was not encoded beforehand")?,
            );
        }
        Ok(all)
    }
}
