//! Validation: the loss over images that are not trained on, always with the same latents, noise, timesteps and captions.
//!
//! Rules: sd-scripts' `train_network.py`. Four timesteps in equal distances; noise offset, weights of timesteps, masks and
//! kind of loss as in training, so that the loss can be compared with the training's; dropout off. Two things differ:
//! captions are whole and unshuffled and images neither mirrored nor cropped by chance, which sd-scripts draws from the
//! restarted generator; and the mean is over images, so that it does not depend on the batch size.
//!
//! All that is random comes from streams of its own, so that training is the same with and without validation.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lorabake_data::bucket::Layout;
use lorabake_data::{Dataset, caption};
use lorabake_lora::{AdapterDraws, Attached, LoraNetwork, Strength};
use lorabake_recipe::Recipe;
use lorabake_recipe::data::validation;
use lorabake_recipe::seed::{BatchId, Seed};
use rand::RngCore;

use super::Milestone;
use crate::noise_draws::NoiseDraws;
use crate::session::Session;
use crate::step::{Collation, SampleInputs, StepInputs, forward_loss};

/// Timesteps of a validation.
const TIMESTEPS: usize = 4;

/// What is validated, and when.
pub(crate) struct Validation {
    settings: validation::Validation,
    /// Items that are held out, of one size in each batch.
    batches: Vec<Vec<usize>>,
    timesteps: [usize; TIMESTEPS],
    seed: Seed,
}

impl Validation {
    /// The validation that a recipe asks for, if anything is held out.
    pub fn new(recipe: &Recipe, dataset: &Dataset, layout: &Layout) -> Option<Self> {
        let settings = recipe.validation?;
        let mut shelves: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, (item, placement)) in dataset.items.iter().zip(&layout.placements).enumerate() {
            if item.held_out {
                shelves.entry((dataset.group(&recipe.data, item), placement.bucket)).or_default().push(index);
            }
        }
        let size = |shelf: &[usize]| dataset.settings(&recipe.data, &dataset.items[shelf[0]]).batch_size.max(1);
        let batches = shelves.values().flat_map(|shelf| shelf.chunks(size(shelf)).map(<[usize]>::to_vec));
        let batches: Vec<_> = batches.take(settings.most_batches.unwrap_or(usize::MAX)).collect();
        let seed = Seed(Seed(recipe.data.hold_out.seed()).stream("validation", &[]).next_u64());
        let timesteps = timesteps(recipe.diffusion.min_timestep as usize, recipe.diffusion.max_timestep as usize);
        (!batches.is_empty()).then_some(Self { settings, batches, timesteps, seed })
    }

    /// Whether it is time for a validation.
    pub fn due(&self, milestone: Milestone) -> bool {
        match milestone {
            Milestone::Step(step) => self.settings.every_steps.is_some_and(|every| step.is_multiple_of(every)),
            Milestone::Epoch(epoch) => epoch.is_multiple_of(self.settings.every_epochs),
        }
    }

    /// Mean loss of `network` over images and timesteps.
    ///
    /// # Errors
    /// If an image's latents are missing, naming it.
    pub fn loss(&self, session: &Session, network: &LoraNetwork) -> Result<f64> {
        let mut attached = Attached::default();
        network.attach(Strength::FULL, &session.device, &mut attached);
        let (mut total, mut images) = (0.0, 0);
        for batch in &self.batches {
            for timestep in self.timesteps {
                let inputs = self.inputs(session, batch, timestep)?;
                total += forward_loss(&session.step_context(), &attached, &inputs) * batch.len() as f64;
                images += batch.len();
            }
        }
        Ok(total / images as f64)
    }

    fn inputs(&self, session: &Session, batch: &[usize], timestep: usize) -> Result<StepInputs> {
        let Session { recipe, dataset, latents: cache, .. } = session;
        let [channels, height, width] = cache.shape(batch[0]);
        let mut collation = Collation::new([channels, height, width]);
        let mut noise = NoiseDraws::default();
        for &index in batch {
            let item = &dataset.items[index];
            let drawn = cache.fixed(index, &mut self.seed.stream("latent", &[index as u64]));
            let drawn = drawn.with_context(|| format!("{}: it was not encoded", item.path.display()))?;
            // Each image has noise of its own for each timestep, whatever it shares a batch with.
            let id = BatchId { epoch: index as u64, batch: timestep as u64 };
            let shape = [1, channels, height, width];
            noise.append(NoiseDraws::new(self.seed, id, &drawn.latents, shape, &recipe.diffusion));
            let rules = &dataset.settings(&recipe.data, item).captions;
            collation.push(SampleInputs {
                drawn,
                prompt: caption::unaugmented(&item.caption, rules, self.seed, index as u64),
                sizes: session.sizes(index, false),
                loss_weight: 1.0,
                preserve_prior: false,
            });
        }
        noise.timesteps = vec![timestep; batch.len()];
        let tokens = session.tokens(collation.prompts())?;
        Ok(collation.finish(noise, AdapterDraws::None, tokens))
    }
}

/// The inner ones of `TIMESTEPS` + 2 equally spaced numbers, rounded down: 200, 400, 600, 800 of 0 to 1000.
fn timesteps(min: usize, max: usize) -> [usize; TIMESTEPS] {
    let distance = (max as f64 - min as f64) / (TIMESTEPS + 1) as f64;
    std::array::from_fn(|index| ((index + 1) as f64 * distance + min as f64).floor().min(999.0) as usize)
}

/// The images that are held out, as `folder/file`.
pub(crate) fn names(dataset: &Dataset) -> Vec<String> {
    let held_out = dataset.items.iter().filter(|item| item.held_out);
    let name = |item: &lorabake_data::Item| {
        let file = item.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{}/{file}", dataset.folders[item.folder].name)
    };
    held_out.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `np.linspace(min, max, 6, dtype=int)[1:-1]`.
    #[test]
    fn timesteps_are_those_of_numpy() {
        assert_eq!(timesteps(0, 1000), [200, 400, 600, 800]);
        assert_eq!(timesteps(10, 999), [207, 405, 603, 801]);
        assert_eq!(timesteps(700, 703), [700, 701, 701, 702]);
        assert_eq!(timesteps(5, 5), [5; 4]);
    }
}
