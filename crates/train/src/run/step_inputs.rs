//! Draws and looks up everything that a batch of training needs.

use anyhow::{Context, Result};
use lorabake_data::caption::CaptionUse;
use lorabake_data::epoch_order::{Batch, Entry};
use lorabake_lora::AdapterDraws;
use lorabake_recipe::seed::{BatchId, Seed, UseId};

use super::Bake;
use crate::noise_draws::NoiseDraws;
use crate::step::prior::draw_caption;
use crate::step::{Collation, SampleInputs, StepInputs};

impl Bake<'_> {
    /// The inputs of batch `id`.
    ///
    /// # Errors
    /// When an image cannot be encoded, naming it.
    pub(super) fn step_inputs(&self, id: BatchId, batch: &Batch) -> Result<StepInputs> {
        let session = &self.session;
        let recipe = &session.recipe;
        let seed = Seed(recipe.train.seed);
        let mut collation = Collation::new(session.latents.shape(batch.entries[0].item));
        for entry in &batch.entries {
            collation.push(self.sample_inputs(id.epoch, entry)?);
        }
        let noise = NoiseDraws::new(seed, id, &collation.latents, collation.shape(), &recipe.diffusion);
        let adapter_draws = AdapterDraws::new(seed, id, &recipe.network);
        let tokens = session.tokens(collation.prompts())?;
        Ok(collation.finish(noise, adapter_draws, tokens))
    }

    /// What one use of an image brings.
    fn sample_inputs(&self, epoch: u64, entry: &Entry) -> Result<SampleInputs> {
        let session = &self.session;
        let recipe = &session.recipe;
        let item = &session.dataset.items[entry.item];
        let at =
            CaptionUse { id: UseId { epoch, position: entry.position }, step: self.step, steps: session.length.steps };
        let rules = &session.dataset.settings(&recipe.data, item).captions;
        let caption = draw_caption(item, rules, &recipe.prior, Seed(recipe.train.seed), at);
        let drawn = session.latents.draw(entry.item, entry.flipped, at.id);
        let is_weighed = caption.preserve_prior || item.is_reg;
        Ok(SampleInputs {
            drawn: drawn.with_context(|| item.path.display().to_string())?,
            prompt: caption.prompt,
            sizes: session.sizes(entry.item, entry.flipped),
            loss_weight: if is_weighed { recipe.prior.loss_weight as f32 } else { 1.0 },
            preserve_prior: caption.preserve_prior,
        })
    }
}
