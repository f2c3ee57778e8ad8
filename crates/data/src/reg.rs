//! How often each regularization image is used: by number, as in sd-scripts, or by the training image of its name.
//!
//! Pairing by name (`--reg_pairing=same_name`) is what guides call the hard route: one regularization image for each
//! training image, made by the base model from its caption, and called like it. sd-scripts has nothing of the kind. Here
//! such an image is used as often as its training image, and has its caption if it has no file of its own.

use std::collections::HashMap;
use std::path::PathBuf;

use lorabake_recipe::data::{Data, RegPairing};

use crate::plan;
use crate::problem::{Error, Problem, Reason};
use crate::scan::{Dataset, name};

/// Sets the uses of all items that are not held out, data set by data set; regularization images that are not used are named as left out.
pub(crate) fn balance(dataset: &mut Dataset, data: &Data) -> Result<(), Error> {
    let groups: Vec<usize> = dataset.items.iter().map(|item| dataset.group(data, item)).collect();
    let last = groups.iter().copied().max().unwrap_or(0);
    for group in 0..=last {
        let members: Vec<usize> =
            (0..groups.len()).filter(|&index| groups[index] == group && !dataset.items[index].held_out).collect();
        if data.reg_pairing == RegPairing::SameName && members.iter().any(|&index| dataset.items[index].is_reg) {
            by_name(dataset, &members)?;
        } else {
            by_count(dataset, &members);
        }
    }
    Ok(())
}

fn by_count(dataset: &mut Dataset, members: &[usize]) {
    let images: Vec<_> =
        members.iter().map(|&index| (dataset.items[index].repeats, dataset.items[index].is_reg)).collect();
    let mut surplus = Vec::new();
    for (&index, uses) in members.iter().zip(plan::uses(&images)) {
        let item = &mut dataset.items[index];
        item.uses = uses;
        surplus.extend((uses == 0).then(|| item.path.clone()));
    }
    if !surplus.is_empty() {
        let train = images.iter().filter(|(_, is_reg)| !is_reg).map(|(repeats, _)| u64::from(*repeats)).sum();
        let reg = images.iter().filter(|(_, is_reg)| *is_reg).count();
        dataset.problems.push(Problem::RegSurplus { unused: surplus.len(), images: reg, train });
    }
    dataset.left_out.extend(surplus.into_iter().map(|path| (path, Reason::RegSurplus)));
}

fn by_name(dataset: &mut Dataset, members: &[usize]) -> Result<(), Error> {
    let items = &mut dataset.items;
    let stem = |path: &PathBuf| name(&path.with_extension(""));
    // Uses and caption for each name; a name that two folders have counts for both.
    let mut wanted: HashMap<String, (u32, String)> = HashMap::new();
    let (train, reg): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&index| !items[index].is_reg);
    for &index in &train {
        let item = &items[index];
        wanted.entry(stem(&item.path)).or_insert_with(|| (0, item.caption.clone())).0 += item.repeats;
    }
    let mut unpaired = Vec::new();
    for &index in &reg {
        let item = &mut items[index];
        match wanted.remove(&stem(&item.path)) {
            Some((uses, caption)) => {
                item.uses = uses;
                if !item.captioned {
                    item.caption = caption;
                }
            }
            None => {
                item.uses = 0;
                unpaired.push((item.path.clone(), Reason::NoPartner));
            }
        }
    }
    if unpaired.len() == reg.len() {
        return Err(Error::NoPairs { example: name(&items[train.first().copied().unwrap_or(reg[0])].path) });
    }
    let alone = train.iter().map(|&index| &items[index].path).filter(|path| wanted.contains_key(&stem(path)));
    let alone: Vec<String> = alone.map(|path| name(path)).collect();
    if !alone.is_empty() {
        let more = if alone.len() > 3 { ", …" } else { "" };
        let examples = alone[..alone.len().min(3)].join(", ") + more;
        dataset.problems.push(Problem::NoRegPartner { missing: alone.len(), images: train.len(), examples });
    }
    dataset.left_out.extend(unpaired);
    Ok(())
}
