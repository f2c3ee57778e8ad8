//! One optimizer step: the gradients of its batches, the update.

use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use lorabake_data::epoch_order::Batch;
use lorabake_optim::lr;
use lorabake_recipe::seed::BatchId;

use super::failure::StepFailure;
use super::{Bake, wants_stop};
use crate::caught::caught;
use crate::distributed::Share;
use crate::event::{self, Event};
use crate::step::{Gradients, StepContext, step_side_by_side};
use crate::update::finite::first_not_finite;
use crate::update::{Updated, accumulate};

/// The gradients of all batches of a step, and the sum of their losses.
struct Computed {
    gradients: Gradients,
    total_loss: f64,
}

impl Bake<'_> {
    /// One optimizer step over the batches of `group`, which begin with batch `first`.
    ///
    /// # Errors
    /// When a loss, a gradient or what the update makes is not finite, naming the images, or an image cannot be encoded.
    pub(super) fn optimize(&mut self, first: BatchId, group: &[Batch]) -> Result<(), StepFailure> {
        let started = Instant::now();
        let computed = loop {
            let computed = self.gradients(first, group)?;
            if self.scale.accepts(&computed.gradients) {
                break computed;
            }
        };
        let factor = self.rate_factor();
        let rates = self.updater.shown_rates(factor);
        let updated = self.update(computed.gradients, factor)?;
        if !updated.gradient_norm.is_finite() {
            let error = anyhow!("step {}: the gradient is not finite{}", self.step + 1, self.blame(&group[0]));
            return Err(error.into());
        }
        self.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.session.network, self.step);
        }
        self.emit(Event::Stepped(event::Step {
            step: self.step,
            epoch: first.epoch + 1,
            loss: computed.total_loss / group.len() as f64,
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

    /// Updates the network. If that goes wrong its values are those from before.
    fn update(&mut self, gradients: Gradients, factor: f64) -> Result<Updated, StepFailure> {
        let mut before = Vec::new();
        for (_, values) in self.session.network.state() {
            before.push(values.clone());
        }
        let network = &mut self.session.network;
        let updated = caught(|| Ok(self.updater.update(network, gradients, factor)));
        let failure = match (updated, first_not_finite(network)) {
            (Ok(updated), None) => return Ok(updated),
            (Err(panic), _) => panic,
            (Ok(_), Some(first)) => anyhow!(
                "step {}: the update makes weights that are not finite (first: {first}); lower the learning rates",
                self.step + 1
            ),
        };
        for ((values, _), before) in network.trainables().zip(before) {
            *values = before;
        }
        Err(StepFailure::Updating(failure))
    }

    /// The gradients of all batches of a group, whichever process computes them.
    fn gradients(&mut self, first: BatchId, group: &[Batch]) -> Result<Computed> {
        // A failure in here leaves the weights as the last step made them, so that they can be saved.
        let own = caught(|| self.own_gradients(first, group));
        if self.channels.processes.count() == 1 {
            return Ok(self.counted(first, own?));
        }
        // The other processes wait for this share, whatever became of it.
        let mut error = None;
        let share = match own {
            Ok(share) => Share { stop: self.is_ended() || wants_stop(self.channels.commands), ..share },
            Err(failed) => {
                error = Some(failed);
                Share { losses: vec![0.0; group.len()], failed: true, ..Share::default() }
            }
        };
        let sizes: Vec<usize> = self.session.network.state().map(|(_, values)| values.len()).collect();
        let sum = self.channels.processes.sum(share, &sizes, || wants_stop(self.channels.commands));
        if let Some(error) = error {
            return Err(error);
        }
        let sum = sum?;
        self.stop |= sum.stop;
        Ok(self.counted(first, sum))
    }

    /// Adds the losses to the average.
    fn counted(&mut self, first: BatchId, share: Share) -> Computed {
        for (offset, loss) in share.losses.iter().enumerate() {
            self.average.add(first.batch as usize + offset, *loss);
        }
        Computed { gradients: share.gradients, total_loss: share.losses.iter().sum() }
    }

    /// What this process computes of the group.
    fn own_gradients(&self, first: BatchId, group: &[Batch]) -> Result<Share> {
        let session = &self.session;
        let mut gradients: Option<Gradients> = None;
        let mut losses = vec![0.0; group.len()];
        for (offset, batch) in group.iter().enumerate() {
            if !self.channels.processes.takes(offset) {
                continue;
            }
            let id = BatchId { batch: first.batch + offset as u64, ..first };
            let inputs = self.step_inputs(id, batch)?;
            let context = StepContext { loss_scale: self.scale.factor(), ..session.step_context() };
            let output = step_side_by_side(&self.threads, &context, &session.network, &inputs);
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
        if self.channels.processes.count() > 1 { self.stop } else { wants_stop(self.channels.commands) }
    }

    /// What the schedule multiplies all rates with in the next step.
    fn rate_factor(&self) -> f64 {
        let optim = &self.session.recipe.optim;
        lr::factor(&optim.schedule, optim.learning_rate, self.step, self.session.length.steps)
    }

    /// What is to blame: a weight of the model that is not finite, or else the images of a batch; and what to do.
    fn blame(&self, batch: &Batch) -> String {
        if let Some(error) = self.session.bundle.fault() {
            return format!("; {error}");
        }
        let mut images = Vec::new();
        for entry in &batch.entries {
            images.push(self.session.dataset.items[entry.item].path.display().to_string());
        }
        format!(" with {}; lower the learning rates, or leave these images out", images.join(", "))
    }
}
