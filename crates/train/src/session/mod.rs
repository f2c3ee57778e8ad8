//! Recipe → the concrete objects of a run; everything that can be refused is refused here, before a file is written.

mod card_memory;
mod checks;
mod network;
mod prepare;

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::Dataset;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_lora::LoraNetwork;
use lorabake_model::family::paddings;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::{Bundle, TimeIds};
use lorabake_recipe::Recipe;
use lorabake_recipe::train::Recompute;

use crate::cache::text_cache::TextCache;
use crate::cache::{LatentCache, Tokens};
use crate::objective::Objective;
use crate::step::StepContext;
pub use checks::{idle_judging, long_warmup, settled};
pub(crate) use network::make_network;
pub(crate) use prepare::{Prepared, look_ahead, prepare};

/// A run that is ready for its first step.
pub struct Session {
    /// The recipe, with rank and alpha as they really are.
    pub recipe: Recipe,
    /// The frozen networks, without the VAE's encoder: the latents have it if they need it still.
    pub bundle: Bundle,
    /// The images and their captions.
    pub dataset: Dataset,
    /// The bucket of each image.
    pub layout: Layout,
    /// The order of the images.
    pub order: EpochOrder,
    /// Epochs and steps.
    pub length: Length,
    /// The latents of the images.
    pub latents: LatentCache,
    /// The text states of the captions, if they are kept; the text encoders are then left in the file.
    pub(crate) texts: Option<TextCache>,
    /// What is trained.
    pub network: LoraNetwork,
    /// Noise levels, prediction, loss.
    pub objective: Objective,
    /// Prompts to tokens.
    pub tokenizer: Tokenizer,
    /// Where it runs.
    pub device: Device,
}

impl Session {
    /// The tokens of a batch's prompts, with their text states if those are kept.
    pub(crate) fn tokens<'p>(&self, prompts: impl IntoIterator<Item = &'p str>) -> Result<Tokens> {
        let length = self.recipe.model.max_token_length;
        let weighted = self.recipe.data.captions.weighted;
        let mut tokens = Tokens::new(&self.tokenizer, prompts, length, weighted, &paddings(self.bundle.family));
        tokens.kept = self.texts.as_ref().map(|texts| texts.look_up(&tokens)).transpose()?;
        Ok(tokens)
    }

    /// What SDXL is told of an image's sizes; in whole pixels, as sd-scripts tells it.
    pub(crate) fn sizes(&self, item: usize, flipped: bool) -> TimeIds {
        let (width, height) = self.dataset.items[item].size;
        let placement = &self.layout.placements[item];
        let [left, top, right, _] = placement.crop_ltrb;
        let left = if flipped { f64::from(placement.bucket.0) - right } else { left };
        [height, width, top as u32, left as u32, placement.bucket.1, placement.bucket.0].map(|pixels| pixels as f32)
    }

    /// What stays the same from step to step.
    pub fn step_context(&self) -> StepContext<'_> {
        let Self { bundle, objective, device, .. } = self;
        let recompute = match self.recipe.train.recompute {
            Recompute::No => 0,
            Recompute::All => usize::MAX,
            Recompute::Blocks(blocks) => blocks,
        };
        StepContext { bundle, objective, clip_skip: self.recipe.model.clip_skip, recompute, device, loss_scale: 1.0 }
    }
}
