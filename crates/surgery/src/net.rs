//! An open file of a net, and which of its modules meet which layers of a checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_weights::keys::layers::{self, LayerKeys};
use lorabake_weights::lora::NetTensors;

use crate::block::{Block, BlockWeights, is_unet};
use crate::error::{Error, Result};
use crate::kind::{Module, WeightShape};
use crate::model::Model;

/// How strong a net is.
#[derive(Debug, Clone, PartialEq)]
pub struct Strength {
    /// In the UNet.
    pub unet: f64,
    /// In the text encoders.
    pub text: f64,
    /// What the strength is multiplied with in each block.
    pub blocks: Option<BlockWeights>,
}

impl Strength {
    /// The same everywhere.
    pub fn everywhere(ratio: f64) -> Self {
        Self { unet: ratio, text: ratio, blocks: None }
    }

    /// The strength of a module by its name.
    pub fn of(&self, module: &str, family: Family) -> f64 {
        let of_part = if is_unet(module) { self.unet } else { self.text };
        of_part * self.blocks.as_ref().map_or(1.0, |blocks| blocks.of(Block::of_module(module, family)))
    }
}

/// A net and how strong it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NetUse {
    /// The file.
    pub path: PathBuf,
    /// How strong it is.
    pub strength: Strength,
}

/// Opens a net's file for models of `family`.
///
/// # Errors
/// When it cannot be read, is no net, or is one of another family.
pub fn open(path: &Path, family: Option<Family>) -> Result<NetTensors> {
    let net = NetTensors::open(path)?;
    if let (Some(own), Some(family)) = (net.family(), family)
        && own != family
    {
        return Err(Error::wrong(
            net.label(),
            format!("it was trained for {}, the others are of {}", own.name(), family.name()),
            "give files of one family",
        ));
    }
    if let Some(problem) = net.problems().first() {
        let more = net.problems().len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Err(Error::wrong(net.label(), format!("{problem}{more}"), "give a file whose every tensor is known"));
    }
    Ok(net)
}

/// The module of a net, read and checked against the size of its weight.
///
/// # Errors
/// When it cannot be read or does not fit.
pub fn module(net: &NetTensors, name: &str, shape: Option<WeightShape>) -> Result<Module> {
    let tensors = net.read(name)?;
    Module::fit(&tensors, shape).map_err(|reason| {
        Error::wrong(net.label(), format!("{name}: {reason}"), "the file is damaged, or was made for another model")
    })
}

/// The layers of a checkpoint, by the names that nets have for them.
#[derive(Debug)]
pub struct Layers {
    /// All layers.
    pub all: Vec<LayerKeys>,
    /// Module → number of the layer.
    by_module: BTreeMap<String, usize>,
}

impl Layers {
    /// Those of a checkpoint.
    pub fn of(checkpoint: &Model) -> Self {
        let names: Vec<&str> = checkpoint.names().iter().map(String::as_str).collect();
        let all = layers::layers(checkpoint.family(), &names);
        let by_module = layers::by_module(checkpoint.family(), &names, &all);
        Self { all, by_module }
    }

    /// The layer that a module of this name is for.
    pub fn find(&self, module: &str) -> Option<&LayerKeys> {
        Some(&self.all[*self.by_module.get(module)?])
    }
}

/// The size of a layer's weight in a checkpoint; that of a third where three layers are one tensor.
pub fn weight_shape(checkpoint: &Model, layer: &LayerKeys) -> Option<WeightShape> {
    let shape = checkpoint.shape(&layer.weight)?;
    if let [channels] = shape {
        return Some(WeightShape { outputs: *channels, inputs: 1, taps: 1 });
    }
    let mut shape = WeightShape::of(shape)?;
    if layer.third.is_some() {
        shape.outputs /= 3;
    }
    Some(shape)
}
