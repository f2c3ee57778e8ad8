//! The order of training: how often each image is used, which uses share a batch, which are mirrored, and how many
//! steps that makes. Pure: everything is a function of (seed, epoch), so a resumed run draws the same batches.
//!
//! Source: sd-scripts `DreamBoothDataset` (balance of the regularization set), `BaseDataset.make_buckets` and
//! `shuffle_buckets` (batches), `train_network.py` (steps). Its random order itself is not reproduced: it comes from
//! Python's generator.

use std::collections::BTreeMap;

use lorabake_recipe::data::Data;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::bucket::Layout;
use crate::problem::Size;
use crate::scan::Dataset;

/// One use of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Index into [`Dataset::items`].
    pub item: usize,
    /// Use the mirror image.
    pub flipped: bool,
    /// Running number of this use within its epoch; names random streams such as that of [`crate::caption::draw`].
    pub position: u64,
}

/// What goes through the network together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Size of all its images in pixels.
    pub bucket: Size,
    /// 1 to batch size uses.
    pub entries: Vec<Entry>,
}

/// Everything that the batches of any epoch follow from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Data set by data set, bucket by bucket.
    shelves: Vec<Shelf>,
    /// Per item, whether it may be mirrored.
    flips: Vec<bool>,
    seed: Seed,
}

/// The uses that may share a batch.
#[derive(Debug, Clone)]
struct Shelf {
    bucket: Size,
    /// Each item as often as it is used.
    uses: Vec<usize>,
    batch_size: usize,
}

impl Plan {
    /// Plans for a data set whose items have been placed.
    pub fn new(dataset: &Dataset, layout: &Layout, data: &Data, seed: Seed) -> Self {
        let mut shelves: BTreeMap<(usize, Size), Shelf> = BTreeMap::new();
        for (index, (item, placement)) in dataset.items.iter().zip(&layout.placements).enumerate() {
            if item.uses > 0 {
                let (bucket, batch_size) = (placement.bucket, dataset.settings(data, item).batch_size.max(1));
                let shelf = shelves.entry((dataset.group(data, item), bucket));
                let shelf = shelf.or_insert_with(|| Shelf { bucket, uses: Vec::new(), batch_size });
                shelf.uses.extend(std::iter::repeat_n(index, item.uses as usize));
            }
        }
        let flips = dataset.items.iter().map(|item| dataset.settings(data, item).flip_aug).collect();
        Self { shelves: shelves.into_values().collect(), flips, seed }
    }

    /// Batches of every epoch; the last of a bucket may be smaller than the batch size.
    pub fn batches_per_epoch(&self) -> u64 {
        self.shelves.iter().map(|shelf| shelf.uses.len().div_ceil(shelf.batch_size) as u64).sum()
    }

    /// Uses of each bucket in an epoch, by size; buckets of several data sets that are alike count together.
    pub fn uses_per_bucket(&self) -> impl Iterator<Item = (Size, usize)> {
        let mut uses = BTreeMap::new();
        self.shelves.iter().for_each(|shelf| *uses.entry(shelf.bucket).or_default() += shelf.uses.len());
        uses.into_iter()
    }

    /// The batches of an epoch, counted from 0, in their order.
    pub fn epoch(&self, epoch: u64) -> Vec<Batch> {
        let mut order = self.seed.stream("order", &[epoch]);
        let mut batches = Vec::new();
        for Shelf { bucket, uses, batch_size } in &self.shelves {
            let mut uses = uses.clone();
            uses.shuffle(&mut order);
            batches.extend(uses.chunks(*batch_size).map(|items| (*bucket, items.to_vec())));
        }
        batches.shuffle(&mut order);
        let mut flip = self.seed.stream("flip", &[epoch]);
        let mut positions = 0..;
        let mut entry = |item: usize| Entry {
            item,
            flipped: self.flips[item] && flip.random_bool(0.5),
            position: positions.next().unwrap_or_default(),
        };
        let mut batch = |(bucket, items): (Size, Vec<usize>)| Batch {
            bucket,
            entries: items.into_iter().map(&mut entry).collect(),
        };
        batches.into_iter().map(&mut batch).collect()
    }
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let (epochs, steps) = match duration {
            Duration::Epochs(epochs) => (epochs, steps_per_epoch.saturating_mul(epochs)),
            Duration::Steps(steps) => (steps.div_ceil(steps_per_epoch), steps),
        };
        Self { batches_per_epoch, accumulation, steps_per_epoch, epochs, steps }
    }
}

/// Uses per epoch of each image, given (repeats, is_reg) in order.
///
/// Training images are used as often as they are repeated. Regularization images are taken with their repeats until
/// they are as many as those (the last may overshoot); the rest is not used. If all together are fewer, each in turn
/// gets one more use until the numbers are equal.
pub fn uses(images: &[(u32, bool)]) -> Vec<u32> {
    let train: u64 = images.iter().filter(|(_, is_reg)| !is_reg).map(|(repeats, _)| u64::from(*repeats)).sum();
    let mut uses: Vec<u32> = images.iter().map(|&(repeats, is_reg)| if is_reg { 0 } else { repeats }).collect();
    let reg: Vec<usize> = (0..images.len()).filter(|&index| images[index].1).collect();
    let mut taken = 0;
    for &index in &reg {
        if taken < train {
            uses[index] = images[index].0;
            taken += u64::from(images[index].0);
        }
    }
    for &index in reg.iter().cycle() {
        if taken >= train {
            break;
        }
        uses[index] += 1;
        taken += 1;
    }
    uses
}
