//! What differs between two models or two nets, block by block.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lorabake_recipe::model::Family;
use lorabake_weights::lora::NetTensors;
use lorabake_weights::{Part, keys};

use crate::block::{Block, canonical, is_unet};
use crate::bounded;
use crate::error::{Error, Result};
use crate::lowered::{self, BaseModel};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::net;
use crate::output::is_float;
use crate::writer::Watch;

/// A block of both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockDifference {
    /// Its name: TE, TE2, IN00 to OUT11, M00, VAE, other.
    pub name: String,
    /// Tensors, or modules, that both have.
    pub both: usize,
    /// Those among them that differ.
    pub differing: usize,
    /// ‖A‖², ‖B‖², ‖A − B‖² and A·B.
    pub sums: [f64; 4],
}

impl BlockDifference {
    /// ‖A − B‖ ÷ ‖A‖
    pub fn share(&self) -> f64 {
        (self.sums[2] / self.sums[0].max(f64::MIN_POSITIVE)).sqrt()
    }

    /// The cosine of A and B.
    pub fn cosine(&self) -> f64 {
        self.sums[3] / (self.sums[0] * self.sums[1]).sqrt().max(f64::MIN_POSITIVE)
    }

    fn add(&mut self, sums: [f64; 4]) {
        self.both += 1;
        self.differing += usize::from(sums[2] > 0.0);
        self.sums.iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
    }
}

/// All that differs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compared {
    /// The blocks, in the order in which they compute.
    pub blocks: Vec<BlockDifference>,
    /// What only the first has.
    pub only_first: Vec<String>,
    /// What only the second has.
    pub only_second: Vec<String>,
}

/// Compares two models.
///
/// # Errors
/// When they cannot be read, or are of different families.
pub fn compare_models(first: &Path, second: &Path, watch: Watch<'_>) -> Result<Compared> {
    let first = Model::open(first, None)?;
    let second = Model::open(second, None)?;
    let family = first.family();
    if second.family() != family {
        let what = format!("it is of {}, {} of {}", second.family().name(), first.label(), family.name());
        return Err(Error::wrong(second.label(), what, "give models of one family"));
    }
    let counts = |model: &Model, name: &str| {
        model.dtype(name).is_some_and(is_float) && !keys::is_average(name) && keys::part_of(name).is_some()
    };
    let mut compared = Compared::default();
    let mut shared = Vec::new();
    for name in first.names().iter().filter(|name| counts(&first, name)) {
        if second.shape(name) == first.shape(name) {
            shared.push(name);
        } else {
            compared.only_first.push(name.clone());
        }
    }
    for name in second.names().iter().filter(|name| counts(&second, name)) {
        if second.shape(name) != first.shape(name) {
            compared.only_second.push(name.clone());
        }
    }
    let numbers = |name: &&String| first.shape(name).map_or(0, |shape| shape.iter().product());
    let sizes: Vec<usize> = shared.iter().map(numbers).collect();
    let found = bounded::each(&sizes, watch, |index| {
        Ok(sums(&first.read_f32(shared[index])?, &second.read_f32(shared[index])?))
    })?;
    let mut blocks: BTreeMap<(usize, String), BlockDifference> = BTreeMap::new();
    for (name, sums) in shared.iter().zip(found) {
        let place = match keys::part_of(name) {
            Some(Part::TextEncoder) => (0, "TE".to_string()),
            Some(Part::TextEncoder2) => (1, "TE2".to_string()),
            Some(Part::Vae) => (1000, "VAE".to_string()),
            _ => unet_place(Block::of_key(name, family), family),
        };
        blocks.entry(place).or_default().add(sums);
    }
    compared.blocks = named(blocks);
    Ok(compared)
}

/// Compares two nets by what they add to weights; kinds that need them take them from `base`.
///
/// # Errors
/// When they cannot be read, are of different families, or need a model.
pub fn compare_nets(first: &Path, second: &Path, base: Option<&Path>, watch: Watch<'_>) -> Result<Compared> {
    let one = net::open(first, None)?;
    let other = net::open(second, one.family())?;
    let family = one.family().or(other.family()).unwrap_or(Family::Sd1);
    let base = match base {
        Some(base) => Some(BaseModel::of(Model::open(base, None)?)),
        None => None,
    };
    let by_layer = |net: &NetTensors| -> BTreeMap<String, String> {
        net.modules().map(|name| (canonical(name, family), name.to_string())).collect()
    };
    let (ours, theirs) = (by_layer(&one), by_layer(&other));
    let mut compared = Compared::default();
    let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut layers = Vec::new();
    for layer in all {
        match (ours.get(layer), theirs.get(layer)) {
            (Some(name), None) => compared.only_first.push(name.clone()),
            (None, Some(name)) => compared.only_second.push(name.clone()),
            _ => {}
        }
        layers.push((ours.get(layer), theirs.get(layer)));
    }
    let delta = |net: &NetTensors, name: Option<&String>| match name {
        Some(name) => delta(net, name, base.as_ref()),
        None => Ok(None),
    };
    let sizes: Vec<usize> = layers.iter().map(|(own, their)| size(&one, *own) + size(&other, *their)).collect();
    let found = bounded::each(&sizes, watch, |index| {
        let (own, their) = layers[index];
        Ok(match (delta(&one, own)?, delta(&other, their)?) {
            (Some(own), Some(their)) if own.values.len() == their.values.len() => {
                Some(sums(&own.values, &their.values))
            }
            (Some(own), None) => Some(sums(&own.values, &vec![0.0; own.values.len()])),
            (None, Some(their)) => Some(sums(&vec![0.0; their.values.len()], &their.values)),
            _ => None,
        })
    })?;
    let mut blocks: BTreeMap<(usize, String), BlockDifference> = BTreeMap::new();
    for ((own, their), sums) in layers.iter().zip(found) {
        let (Some(sums), Some(name)) = (sums, own.or(*their)) else { continue };
        let place = match is_unet(name) {
            true => unet_place(Block::of_module(name, family), family),
            false if name.starts_with("lora_te2_") || name.starts_with("1_model") => (1, "TE2".to_string()),
            false => (0, "TE".to_string()),
        };
        blocks.entry(place).or_default().add(sums);
    }
    compared.blocks = named(blocks);
    Ok(compared)
}

/// Numbers of what a module adds to a weight, as far as its factors tell.
fn size(net: &NetTensors, name: Option<&String>) -> usize {
    let Some(name) = name else { return 0 };
    let side = |leaf: &str| net.shape(name, leaf).map_or((0, 0), |shape| (shape[0], shape.iter().product::<usize>()));
    let (rank, down) = side("lora_down.weight");
    let (_, up) = side("lora_up.weight");
    (up / rank.max(1) * down / rank.max(1)).max(lowered::load(net, name, None))
}

fn delta(net: &NetTensors, name: &str, base: Option<&BaseModel>) -> Result<Option<Matrix>> {
    let module = net::module(net, name, base.and_then(|base| base.size(name)).map(|size| size.shape))?;
    lowered::delta(net, name, &module, base)
}

/// Where a block of the UNet stands in the list.
fn unet_place(block: Block, family: Family) -> (usize, String) {
    let order = Block::all(family);
    let name = if block == Block::Base { "other".to_string() } else { block.to_string() };
    (2 + order.iter().position(|own| *own == block).unwrap_or(0), name)
}

fn named(blocks: BTreeMap<(usize, String), BlockDifference>) -> Vec<BlockDifference> {
    blocks.into_iter().map(|((_, name), block)| BlockDifference { name, ..block }).collect()
}

/// ‖A‖², ‖B‖², ‖A − B‖² and A·B.
fn sums(a: &[f32], b: &[f32]) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        sums[0] += a * a;
        sums[1] += b * b;
        sums[2] += (a - b) * (a - b);
        sums[3] += a * b;
    }
    sums
}
