//! How often each regularization image is used: by number, as in sd-scripts, or by the training image of its name.
//!
//! Source of the balance by number: sd-scripts `DreamBoothDataset`. Pairing by name (`--reg_pairing=same_name`) is what
//! guides call the hard route: one regularization image for each training image, made by the base model from its
//! caption, and called like it. sd-scripts has nothing of the kind. Here such an image is used as often as its training
//! image, and has its caption if it has no file of its own.

use std::collections::HashMap;

use lorabake_recipe::data::{Data, RegPairing};

use crate::dataset::{Dataset, LeftOut};
use crate::error::Error;
use crate::paths::{comparable_stem, name};
use crate::problem::{Problem, Reason, examples};

/// Items of one data set that are not held out, as indices into [`Dataset::items`].
#[derive(Default)]
struct Members {
    train: Vec<usize>,
    reg: Vec<usize>,
}

/// Sets the uses of all regularization images, data set by data set; those that are not used are named as left out.
pub(super) fn balance(dataset: &mut Dataset, data: &Data) -> Result<(), Error> {
    let mut groups: Vec<Members> = Vec::new();
    for (index, item) in dataset.items.iter().enumerate() {
        if item.held_out {
            continue;
        }
        let group = dataset.group(data, item);
        if groups.len() <= group {
            groups.resize_with(group + 1, Members::default);
        }
        if item.is_reg {
            groups[group].reg.push(index);
        } else {
            groups[group].train.push(index);
        }
    }
    for (group, members) in groups.iter().enumerate().filter(|(_, members)| !members.reg.is_empty()) {
        if members.train.is_empty() {
            leave_out(dataset, members, group + 1);
            continue;
        }
        match data.reg_pairing {
            RegPairing::SameName => by_name(dataset, members)?,
            RegPairing::Count => by_count(dataset, members),
        }
    }
    Ok(())
}

/// Leaves the regularization images out of data set `number`, which has nothing else.
fn leave_out(dataset: &mut Dataset, members: &Members, number: usize) {
    for &index in &members.reg {
        let item = &mut dataset.items[index];
        item.uses = 0;
        dataset.left_out.push(LeftOut { path: item.path.clone(), reason: Reason::RegAlone });
    }
    dataset.problems.push(Problem::RegAlone { number, images: members.reg.len() });
}

fn by_count(dataset: &mut Dataset, members: &Members) {
    let train = members.train.iter().map(|&index| u64::from(dataset.items[index].repeats)).sum();
    let repeats: Vec<u32> = members.reg.iter().map(|&index| dataset.items[index].repeats).collect();
    let mut unused = 0;
    for (&index, uses) in members.reg.iter().zip(balanced_uses(train, &repeats)) {
        let item = &mut dataset.items[index];
        item.uses = uses;
        if uses == 0 {
            unused += 1;
            dataset.left_out.push(LeftOut { path: item.path.clone(), reason: Reason::RegSurplus });
        }
    }
    if unused > 0 {
        dataset.problems.push(Problem::RegSurplus { unused, images: members.reg.len(), train });
    }
}

/// Uses per epoch of each regularization image, given the uses of all training images together and the repeats of each
/// regularization image.
///
/// The images are taken with their repeats until they are as many as the training images (the last may overshoot); the
/// rest is not used. If all together are fewer, each in turn gets one more use until the numbers are equal.
pub fn balanced_uses(train: u64, repeats: &[u32]) -> Vec<u32> {
    let mut uses = vec![0; repeats.len()];
    if repeats.is_empty() {
        return uses;
    }
    let mut taken = 0;
    for (uses, &repeats) in uses.iter_mut().zip(repeats) {
        if taken < train {
            *uses = repeats;
            taken += u64::from(repeats);
        }
    }
    let mut next = 0;
    while taken < train {
        uses[next] += 1;
        taken += 1;
        next = (next + 1) % repeats.len();
    }
    uses
}

/// What the regularization image of a name takes over from the training images of that name.
struct Partner {
    /// Repeats of all training images of the name: two folders may have one each.
    uses: u32,
    /// Caption of the first of them.
    caption: String,
}

fn by_name(dataset: &mut Dataset, members: &Members) -> Result<(), Error> {
    let items = &mut dataset.items;
    let mut partners: HashMap<String, Partner> = HashMap::new();
    for &index in &members.train {
        let item = &items[index];
        let partner = partners
            .entry(comparable_stem(&item.path))
            .or_insert_with(|| Partner { uses: 0, caption: item.caption.clone() });
        partner.uses += item.repeats;
    }
    let mut unpaired = Vec::new();
    for &index in &members.reg {
        let item = &mut items[index];
        let Some(partner) = partners.remove(&comparable_stem(&item.path)) else {
            item.uses = 0;
            unpaired.push(LeftOut { path: item.path.clone(), reason: Reason::NoPartner });
            continue;
        };
        item.uses = partner.uses;
        if !item.is_captioned() {
            item.caption = partner.caption;
        }
    }
    if unpaired.len() == members.reg.len() {
        return Err(Error::NoPairs { example: name(&items[members.train[0]].path) });
    }
    let mut alone = Vec::new();
    for &index in &members.train {
        let path = &items[index].path;
        if partners.contains_key(&comparable_stem(path)) {
            alone.push(name(path));
        }
    }
    if !alone.is_empty() {
        let images = members.train.len();
        dataset.problems.push(Problem::NoRegPartner { missing: alone.len(), images, examples: examples(&alone) });
    }
    dataset.left_out.extend(unpaired);
    Ok(())
}
