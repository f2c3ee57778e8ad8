//! The order of training: which uses share a batch, which are mirrored, in which order the batches of an epoch come, and
//! how many steps they make. Pure: everything is a function of (seed, epoch), so a resumed run draws the same batches.
//!
//! Source: sd-scripts `BaseDataset.make_buckets` and `shuffle_buckets` (batches), `train_network.py` (steps). The random
//! order of sd-scripts is not reproduced: it comes from Python's generator.

use std::collections::BTreeMap;

use lorabake_recipe::data::Data;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::bucket::Layout;
use crate::dataset::Dataset;
use crate::size::Size;

/// One use of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index into [`Dataset::items`].
    pub item: usize,
    /// Use the mirror image.
    pub flipped: bool,
    /// Running number of this use within its epoch, as in [`lorabake_recipe::seed::UseId`].
    pub position: u64,
}

/// What goes through the network together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Size of all images of the batch in pixels.
    pub bucket: Size,
    /// 1 to batch size uses.
    pub entries: Vec<Entry>,
}

/// Everything that the batches of any epoch follow from.
#[derive(Debug, Clone)]
pub struct EpochOrder {
    /// Data set by data set, bucket by bucket.
    buckets: Vec<BucketUses>,
    /// Per item, whether it may be mirrored.
    flips: Vec<bool>,
    seed: Seed,
}

/// The uses that may share a batch.
#[derive(Debug, Clone)]
struct BucketUses {
    size: Size,
    /// Each item as often as it is used.
    items: Vec<usize>,
    batch_size: usize,
}

impl EpochOrder {
    /// The order for a data set whose items have been placed.
    pub fn new(dataset: &Dataset, layout: &Layout, data: &Data, seed: Seed) -> Self {
        // By data set and size.
        let mut buckets: BTreeMap<(usize, Size), BucketUses> = BTreeMap::new();
        let mut flips = Vec::with_capacity(dataset.items.len());
        for (index, item) in dataset.items.iter().enumerate() {
            let settings = dataset.settings(data, item);
            flips.push(settings.flip_aug);
            if item.uses == 0 {
                continue;
            }
            let size = layout.placements[index].bucket;
            let bucket = buckets.entry((dataset.group(data, item), size)).or_insert_with(|| BucketUses {
                size,
                items: Vec::new(),
                batch_size: settings.batch_size.max(1),
            });
            bucket.items.extend(std::iter::repeat_n(index, item.uses as usize));
        }
        Self { buckets: buckets.into_values().collect(), flips, seed }
    }

    /// Batches of every epoch; the last of a bucket may be smaller than the batch size.
    pub fn batches_per_epoch(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.items.len().div_ceil(bucket.batch_size) as u64).sum()
    }

    /// Uses of each bucket in an epoch, by size; buckets of several data sets that are alike count together.
    pub fn uses_per_bucket(&self) -> BTreeMap<Size, usize> {
        let mut uses = BTreeMap::new();
        for bucket in &self.buckets {
            *uses.entry(bucket.size).or_default() += bucket.items.len();
        }
        uses
    }

    /// The batches of an epoch, counted from 0, in their order.
    pub fn epoch(&self, epoch: u64) -> Vec<Batch> {
        let mut order = self.seed.stream("order", &[epoch]);
        let mut batches = Vec::new();
        for bucket in &self.buckets {
            let mut items = bucket.items.clone();
            items.shuffle(&mut order);
            for items in items.chunks(bucket.batch_size) {
                let entries = items.iter().map(|&item| Entry { item, flipped: false, position: 0 }).collect();
                batches.push(Batch { bucket: bucket.size, entries });
            }
        }
        batches.shuffle(&mut order);
        let mut flip = self.seed.stream("flip", &[epoch]);
        let entries = batches.iter_mut().flat_map(|batch| &mut batch.entries);
        for (entry, position) in entries.zip(0..) {
            entry.flipped = self.flips[entry.item] && flip.random_bool(0.5);
            entry.position = position;
        }
        batches
    }
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// Forward and backward passes per epoch.
    pub batches_per_epoch: u64,
    /// Batches per update (`--gradient_accumulation_steps`).
    pub accumulation: u64,
    /// Updates per epoch; the last of an epoch may gather fewer batches.
    pub steps_per_epoch: u64,
    /// Epochs that are begun.
    pub epochs: u64,
    /// Updates of the run.
    pub steps: u64,
}

impl Length {
    /// Length of a run of at least one batch per epoch.
    pub fn new(batches_per_epoch: u64, accumulation: usize, duration: Duration) -> Self {
        let accumulation = accumulation.max(1) as u64;
        let steps_per_epoch = batches_per_epoch.div_ceil(accumulation).max(1);
        let mut length = Self { batches_per_epoch, accumulation, steps_per_epoch, epochs: 0, steps: 0 };
        match duration {
            Duration::Epochs(epochs) => {
                length.epochs = epochs;
                length.steps = steps_per_epoch.saturating_mul(epochs);
            }
            Duration::Steps(steps) => {
                length.epochs = steps.div_ceil(steps_per_epoch);
                length.steps = steps;
            }
        }
        length
    }
}
