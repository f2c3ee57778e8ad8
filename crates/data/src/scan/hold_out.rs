//! Which training images are held out for validation.
//!
//! Folder by folder, the images in the order of their names are shuffled by a seed, and those at the end are held out.
//! Source: `split_train_val` of sd-scripts, with Python's `random.shuffle`, so that with `--validation_seed` the same
//! images are held out. Three things differ. Whatever is not held out is trained on: there an image may be both, where
//! the share makes a fraction of an image. Without `--validation_seed` the run's seed takes its place; there the images
//! are shuffled twice then, once for each of the two sets. Folders do not shift each other's order.

use std::collections::HashSet;
use std::path::PathBuf;

use lorabake_recipe::data::Data;
use rand_mt::Mt;

use crate::dataset::Dataset;
use crate::error::Error;
use crate::problem::Problem;

/// Marks what is held out, and puts it behind all other items, so that these have the numbers, and with them the random
/// streams, of a run without the held-out images.
pub(super) fn hold_out(dataset: &mut Dataset, data: &Data) -> Result<(), Error> {
    let mut share = 0.0;
    for folder in 0..dataset.folders.len() {
        let images: Vec<usize> = (0..dataset.items.len()).filter(|&i| dataset.items[i].folder == folder).collect();
        let Some(&first) = images.first() else { continue };
        if dataset.items[first].is_reg {
            continue;
        }
        let rule = dataset.settings(data, &dataset.items[first]).hold_out;
        share = rule.share.max(share);
        for place in chosen(images.len(), rule.share, rule.seed()) {
            let item = &mut dataset.items[images[place]];
            item.held_out = true;
            item.uses = 0;
        }
    }
    dataset.items.sort_by_key(|item| item.held_out);
    if share == 0.0 {
        return Ok(());
    }
    if !dataset.items.iter().any(|item| !item.is_reg && !item.held_out) {
        return Err(Error::NothingToTrain { share });
    }
    if !dataset.items.iter().any(|item| item.held_out) {
        dataset.problems.push(Problem::NothingHeldOut { share });
    }
    if let Some(path) = held_out_elsewhere(dataset) {
        dataset.problems.push(Problem::HeldOutElsewhere { path });
    }
    Ok(())
}

/// The first image that is held out in one data set and trained on in another.
fn held_out_elsewhere(dataset: &Dataset) -> Option<PathBuf> {
    let trained: HashSet<&PathBuf> =
        dataset.items.iter().filter(|item| !item.held_out).map(|item| &item.path).collect();
    let both = dataset.items.iter().find(|item| item.held_out && trained.contains(&item.path))?;
    Some(both.path.clone())
}

/// The places that are held out among `count` images.
fn chosen(count: usize, share: f64, seed: u64) -> Vec<usize> {
    if share == 0.0 {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut order, seed);
    // Python rounds halves to the even number.
    let held = (count as f64 * share).round_ties_even() as usize;
    order.split_off(count - held)
}

/// `random.seed(seed)` and `random.shuffle(order)` of Python.
fn shuffle(order: &mut [usize], seed: u64) {
    let mut key = vec![seed as u32];
    let high = (seed >> 32) as u32;
    if high != 0 {
        key.push(high);
    }
    let mut rng = Mt::new_with_key(key);
    for last in (1..order.len()).rev() {
        // As many bits as `last + 1` has, drawn until they are a place up to `last`.
        let bits = usize::BITS - (last + 1).leading_zeros();
        loop {
            let other = (rng.next_u32() >> (32 - bits)) as usize;
            if other <= last {
                order.swap(last, other);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `oracle/validation_split.py` asked sd-scripts: count, share, seed, then the places that it holds out.
    #[test]
    fn what_is_held_out_is_what_sd_scripts_holds_out() {
        let mut rows = 0;
        for line in include_str!("../../tests/golden/validation_split.txt").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [count, share, seed, ..] = words[..] else { panic!("{line}") };
            let held: Vec<usize> = words[3..].iter().map(|word| word.parse().unwrap()).collect();
            assert_eq!(chosen(count.parse().unwrap(), share.parse().unwrap(), seed.parse().unwrap()), held, "{line}");
            rows += 1;
        }
        assert!(rows > 50);
    }
}
