//! One optimizer step: what its batches bring, their gradients, the update.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use lorabake_data::epoch_order::Batch;
use lorabake_data::{Item, UseId, caption};
use lorabake_optim::lr;
use lorabake_recipe::seed::Seed;

use super::{Bake, Talk, wants_stop};
use crate::chances::Chances;
use crate::draws::Draws;
use crate::event::{self, Event};
use crate::prior;
use crate::ranks::Share;
use crate::step::{Frozen, Gradients, Inputs};
use crate::update::accumulate;

impl Bake<'_> {
    /// One optimizer step over the batches of `group`, the first of which is batch `at.1` of epoch `at.0`.
    pub(super) fn optimize(&mut self, at: (u64, usize), group: &[Batch]) -> Result<()> {
        let started = Instant::now();
        let (gradients, total) = loop {
            let (gradients, total) = self.gradients(at, group)?;
            if self.scale.accepts(&gradients) {
                break (gradients, total);
            }
        };
        let factor = self.rate_factor();
        let rates = self.updater.shown_rates(factor);
        let updated = self.updater.update(&mut self.session.network, gradients, factor);
        if !updated.gradient_norm.is_finite() {
            bail!("step {}: the gradient is not finite{}", self.step + 1, self.blame(&group[0]));
        }
        self.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.session.network, self.step);
        }
        self.tell(Event::Stepped(event::Step {
            step: self.step,
            epoch: at.0 + 1,
            loss: total / group.len() as f64,
            average: self.average.mean(),
            rates,
            d_times_lr: self.updater.d_times_lr(factor),
            d: self.updater.d(),
            gradient_norm: updated.gradient_norm,
            norms: updated.norms,
            seconds: started.elapsed().as_secs_f64(),
        }));
        Ok(())
    }

    /// The gradients of all batches of a group, and the sum of their losses, whichever process computes them.
    fn gradients(&mut self, at: (u64, usize), group: &[Batch]) -> Result<(Gradients, f64)> {
        let own = self.own_gradients(at, group);
        let Talk { ranks, commands, .. } = self.talk;
        if ranks.count() == 1 {
            let Share { losses, gradients, .. } = own?;
            return Ok(self.counted(at, losses, gradients));
        }
        // The others wait for this share, whatever became of it.
        let (share, error) = match own {
            Ok(share) => (Share { stop: wants_stop(commands), ..share }, None),
            Err(error) => (Share { losses: vec![0.0; group.len()], failed: true, ..Share::default() }, Some(error)),
        };
        let sizes: Vec<usize> = self.session.network.state().map(|(_, values)| values.len()).collect();
        let sum = ranks.sum(share, &sizes, || wants_stop(commands));
        if let Some(error) = error {
            return Err(error);
        }
        let sum = sum?;
        self.stop |= sum.stop;
        Ok(self.counted(at, sum.losses, sum.gradients))
    }

    /// Adds the losses to the average; gradients, and the losses' sum.
    fn counted(&mut self, at: (u64, usize), losses: Vec<f64>, gradients: Gradients) -> (Gradients, f64) {
        losses.iter().enumerate().for_each(|(offset, loss)| self.average.add(at.1 + offset, *loss));
        (gradients, losses.iter().sum())
    }

    /// This process's part of them.
    fn own_gradients(&self, at: (u64, usize), group: &[Batch]) -> Result<Share> {
        let mut gradients: Option<Gradients> = None;
        let mut losses = vec![0.0; group.len()];
        for (offset, batch) in group.iter().enumerate().filter(|(offset, _)| self.talk.ranks.takes(*offset)) {
            let index = at.1 + offset;
            let inputs = self.inputs((at.0, index as u64), batch)?;
            let session = &self.session;
            let frozen = Frozen { loss_scale: self.scale.factor(), ..session.frozen() };
            let output = self.shards.step(&frozen, &session.network, &inputs);
            if !output.loss.is_finite() {
                bail!("step {}: the loss is not finite ({}){}", self.step + 1, output.loss, self.blame(batch));
            }
            losses[offset] = output.loss;
            accumulate(&mut gradients, output.gradients, 1.0 / session.recipe.train.accumulation as f32);
        }
        Ok(Share { losses, gradients: gradients.unwrap_or_default(), ..Share::default() })
    }

    /// Whether the run ends after this step; of several processes, all of them or none.
    pub(super) fn wants_stop(&self) -> bool {
        if self.talk.ranks.count() > 1 { self.stop } else { wants_stop(self.talk.commands) }
    }

    /// Draws and looks up everything that batch `at` = (epoch, batch) needs.
    fn inputs(&self, at: (u64, u64), batch: &Batch) -> Result<Inputs> {
        let (session, recipe) = (&self.session, &self.session.recipe);
        let seed = Seed(recipe.train.seed);
        let [c, h, w] = session.latents.shape(batch.entries[0].item);
        let shape = [batch.entries.len(), c, h, w];
        let items = batch.entries.iter().map(|entry| (entry, &session.dataset.items[entry.item]));
        let (step, steps) = (self.step, session.length.steps);
        let uses: Vec<prior::Told> = items
            .clone()
            .map(|(entry, item)| {
                let at = caption::CaptionUse { id: UseId { epoch: at.0, position: entry.position }, step, steps };
                let rules = &session.dataset.settings(&recipe.data, item).captions;
                let caption = caption::draw(&item.caption, rules, seed, at);
                prior::told(&recipe.prior, item.is_reg, (caption, rules), seed, at)
            })
            .collect();
        let weight = |(told, (_, item)): (&prior::Told, (_, &Item))| {
            if told.keeps || item.is_reg { recipe.prior.loss_weight as f32 } else { 1.0 }
        };
        let (mut latents, mut masks) = (Vec::with_capacity(shape.iter().product()), Vec::new());
        for entry in &batch.entries {
            let item = &session.dataset.items[entry.item];
            let drawn = session.latents.draw(entry.item, entry.flipped, (at.0, entry.position));
            let drawn = drawn.with_context(|| item.path.display().to_string())?;
            latents.extend(drawn.latents);
            masks.push(drawn.mask);
        }
        // An image without a mask counts everywhere.
        let has_mask = masks.iter().any(Option::is_some);
        let mask = masks.into_iter().flat_map(|mask| mask.unwrap_or_else(|| vec![1.0; h * w]));
        let draws = Draws::new(seed, at, &latents, shape, &recipe.diffusion);
        let prompts = uses.iter().map(|told| told.caption.as_str());
        Ok(Inputs {
            shape,
            latents,
            noise: draws.noise,
            input_noise: draws.input_noise,
            timesteps: draws.timesteps,
            chances: Chances::new(seed, at, &recipe.network),
            tokens: session.tokens(prompts)?,
            sizes: batch.entries.iter().map(|entry| session.sizes(entry.item, entry.flipped)).collect(),
            loss_weights: uses.iter().zip(items).map(weight).collect(),
            prior: uses.iter().map(|told| told.keeps).collect(),
            mask: has_mask.then(|| mask.collect()),
        })
    }

    /// What the schedule multiplies all rates with in the next step.
    fn rate_factor(&self) -> f64 {
        let optim = &self.session.recipe.optim;
        lr::factor(&optim.schedule, optim.learning_rate, self.step, self.session.length.steps)
    }

    fn blame(&self, batch: &Batch) -> String {
        let paths = batch.entries.iter().map(|entry| self.session.dataset.items[entry.item].path.display().to_string());
        let images = paths.collect::<Vec<_>>().join(", ");
        format!(" with {images}; lower the learning rates, or leave these images out")
    }
}
