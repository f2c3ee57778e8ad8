//! A batch's images on several threads at once: each thread takes whole images through the networks by itself, and the
//! gradients meet at the end. That keeps threads busy where single operations are too small to be shared among them.

use std::ops::Range;

use burn::tensor::Device;
use lorabake_ops::{is_host, with_busy_pool};
use lorabake_recipe::Recipe;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::network::Network;
use crate::step::{Frozen, Inputs, Output, step};
use crate::update::accumulate;

/// Groups of threads that work side by side.
#[derive(Debug)]
pub struct Shards {
    pools: Vec<ThreadPool>,
    /// Whether the processor computes; else its threads have nothing to stay awake for.
    on_host: bool,
}

impl Shards {
    /// One group for each image of a batch of `batch`, or for each thread if there are fewer. The batch stays whole where
    /// dropout draws for all of it, where blocks come into memory for it, and on a GPU, which has no threads of ours.
    pub fn of(recipe: &Recipe, device: &Device, batch: usize) -> Self {
        let whole = !is_host(device) || !recipe.network.dropout.is_off() || recipe.train.swapped > 0;
        let groups = if whole { 1 } else { rayon::current_num_threads().min(batch) };
        Self { on_host: is_host(device), ..Self::new(groups) }
    }

    /// For the two halves of a guided prediction.
    pub fn of_guidance(device: &Device) -> Self {
        let groups = if is_host(device) { rayon::current_num_threads().min(2) } else { 1 };
        Self { on_host: is_host(device), ..Self::new(groups) }
    }

    /// `groups` of the processor's threads, at least one in each.
    pub fn new(groups: usize) -> Self {
        let threads = rayon::current_num_threads();
        let pool =
            |group: usize| ThreadPoolBuilder::new().num_threads(((threads + group) / groups).max(1)).build().ok();
        let pools: Option<Vec<_>> = (groups > 1).then(|| (0..groups).map(pool).collect()).flatten();
        Self { pools: pools.unwrap_or_default(), on_host: true }
    }

    /// [`step`], with the batch shared among the groups.
    pub fn step(&self, frozen: &Frozen<'_>, network: &Network, inputs: &Inputs) -> Output {
        let groups = self.count().min(inputs.shape[0]);
        if groups < 2 {
            let step = || step(frozen, network, inputs);
            return if self.on_host { with_busy_pool(step) } else { step() };
        }
        let parts: Vec<Inputs> = even_parts(inputs.shape[0], groups).map(|range| inputs.part(range)).collect();
        joined(self.each(&parts, |part| step(frozen, network, part)))
    }

    /// The groups.
    pub(crate) fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// `work` on as many `parts` as there are groups at most, each by a group of its own.
    pub(crate) fn each<P: Sync, R: Send>(&self, parts: &[P], work: impl Fn(&P) -> R + Sync) -> Vec<R> {
        let work = &work;
        std::thread::scope(|scope| {
            let pairs = self.pools.iter().zip(parts);
            let running: Vec<_> = pairs.map(|(pool, part)| scope.spawn(move || pool.install(|| work(part)))).collect();
            running.into_iter().map(|own| own.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

/// 0..`count` in `parts` ranges of nearly one length.
fn even_parts(count: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// What the whole batch gives.
fn joined(parts: Vec<Output>) -> Output {
    let total: usize = parts.iter().map(|part| part.per_sample.len()).sum();
    let (mut loss, mut gradients) = (0.0, None);
    let (mut per_sample, mut prediction) = (Vec::with_capacity(total), Vec::new());
    for part in parts {
        let share = part.per_sample.len() as f64 / total as f64;
        loss += part.loss * share;
        accumulate(&mut gradients, part.gradients, share as f32);
        per_sample.extend(part.per_sample);
        prediction.extend(part.prediction);
    }
    Output { loss, per_sample, prediction, gradients: gradients.unwrap_or_default() }
}
