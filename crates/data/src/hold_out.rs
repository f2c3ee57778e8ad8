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

use crate::problem::{Error, Problem};
use crate::scan::Dataset;

/// Marks what is held out, and puts it behind all other items, so that these have the numbers, and with them the random
/// streams, of a run without the held-out images.
pub(crate) fn hold_out(dataset: &mut Dataset, data: &Data) -> Result<(), Error> {
    let mut share = 0.0;
    for folder in 0..dataset.folders.len() {
        let images: Vec<usize> = (0..dataset.items.len()).filter(|&i| dataset.items[i].folder == folder).collect();
        let Some(first) = images.first().map(|&image| &dataset.items[image]).filter(|item| !item.is_reg) else {
            continue;
        };
        let rule = dataset.settings(data, first).hold_out;
        share = rule.share.max(share);
        for chosen in chosen(images.len(), rule.share, rule.seed()) {
            let item = &mut dataset.items[images[chosen]];
            (item.held_out, item.uses) = (true, 0);
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
    let learnt: HashSet<&PathBuf> = dataset.items.iter().filter(|item| !item.held_out).map(|item| &item.path).collect();
    let both = dataset.items.iter().find(|item| item.held_out && learnt.contains(&item.path));
    let both = both.map(|item| Problem::HeldOutElsewhere { path: item.path.clone() });
    dataset.problems.extend(both);
    Ok(())
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
    let words = [seed as u32, (seed >> 32) as u32];
    let mut rng = Mt::new_with_key(words[..if words[1] == 0 { 1 } else { 2 }].iter().copied());
    for last in (1..order.len()).rev() {
        let bits = usize::BITS - (last + 1).leading_zeros();
        let mut draw = || (rng.next_u32() >> (32 - bits)) as usize;
        let mut other = draw();
        while other > last {
            other = draw();
        }
        order.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `oracle/validation_split.py` asked sd-scripts: count, share, seed, then the places that it holds out.
    #[test]
    fn what_is_held_out_is_what_sd_scripts_holds_out() {
        let mut rows = 0;
        for line in include_str!("../tests/golden/validation_split.txt").lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [count, share, seed, ..] = words[..] else { panic!("{line}") };
            let held: Vec<usize> = words[3..].iter().map(|word| word.parse().unwrap()).collect();
            assert_eq!(chosen(count.parse().unwrap(), share.parse().unwrap(), seed.parse().unwrap()), held, "{line}");
            rows += 1;
        }
        assert!(rows > 50);
    }
}
