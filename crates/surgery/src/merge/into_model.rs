//! Nets into a checkpoint: W + strength · ΔW for every layer that they change, one net after the other.
//!
//! The strength is linear. Where a change depends on the weight (OFT, BOFT, IA3, GLoRA, DoRA) it is that of the weight as the
//! nets before have made it, as in painting.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_weights::keys::{self, layers::LayerKeys};
use lorabake_weights::lora::NetTensors;
use lorabake_weights::stream::{self, PlannedTensor};

use super::apply::{self, Place};
use crate::convert::folder::Whole;
use crate::error::{Error, Result};
use crate::like::Like;
use crate::metadata::Metadata;
use crate::model::Model;
use crate::net::{self, Layers, NetUse};
use crate::target::Target;
use crate::writer::{Content, Source, Watch, written};

/// What is to be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct IntoModel {
    /// The checkpoint: a file, or a folder of diffusers.
    pub model: PathBuf,
    /// A VAE in the place of its own.
    pub vae: Option<PathBuf>,
    /// The nets, in their order.
    pub nets: Vec<NetUse>,
    /// Whose numbers.
    pub like: Like,
    /// Averages of weights (EMA) that the checkpoint keeps are left out.
    pub without_averages: bool,
}

/// What came of a merge.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// Tensors that were changed.
    pub changed: usize,
    /// Tensors of the file.
    pub tensors: usize,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// One module of a net on a tensor.
#[derive(Debug, Clone)]
struct Step {
    /// Number of the net.
    net: usize,
    module: String,
    /// Number of the layer.
    layer: LayerKeys,
    strength: f64,
}

/// All that is open.
struct Open {
    checkpoint: Model,
    nets: Vec<NetTensors>,
    /// Key → what changes it, in order.
    steps: BTreeMap<String, Vec<Step>>,
    like: Like,
}

/// Merges.
///
/// # Errors
/// When files cannot be read, do not fit together, or no module of a net meets a layer; when the result cannot be written.
pub fn into_model<'o>(
    request: &IntoModel,
    to: impl Into<Target<'o>>,
    metadata: impl Into<Metadata>,
    watch: Watch<'_>,
) -> Result<Merged> {
    let to = to.into();
    let mut inputs: Vec<&Path> = request.nets.iter().map(|net| net.path.as_path()).collect();
    inputs.push(&request.model);
    inputs.extend(request.vae.as_deref());
    to.check(&inputs)?;
    let mut merged = Merged::default();
    let open = Open::new(request, &mut merged.notes)?;
    let checkpoint = &open.checkpoint;
    let mut tensors = Vec::new();
    for name in checkpoint.names() {
        if request.without_averages && keys::is_average(name) {
            continue;
        }
        let (Some(dtype), Some(shape)) = (checkpoint.dtype(name), checkpoint.shape(name)) else { continue };
        let dtype = to.output.dtype(if open.steps.contains_key(name) { written(dtype) } else { dtype });
        tensors.push(PlannedTensor { name: name.clone(), dtype, shape: shape.to_vec() });
    }
    stream::in_order(&mut tensors);
    merged.changed = open.steps.len();
    let (family, prediction) = (checkpoint.family(), checkpoint.prediction());
    let written = to.write(Whole { family, prediction, tensors, metadata: metadata.into(), source: &open }, watch)?;
    merged.tensors = written.tensors;
    merged.notes.extend(written.notes);
    Ok(merged)
}

impl Open {
    fn new(request: &IntoModel, notes: &mut Vec<String>) -> Result<Self> {
        let checkpoint = Model::open(&request.model, request.vae.as_deref())?;
        let family = checkpoint.family();
        let layers = Layers::of(&checkpoint);
        let mut open = Self { checkpoint, nets: Vec::new(), steps: BTreeMap::new(), like: request.like };
        for used in &request.nets {
            let net = net::open(&used.path, Some(family))?;
            let mut unmet = Vec::new();
            let mut met = 0;
            for module in net.modules() {
                match layers.find(module) {
                    Some(layer) => {
                        met += 1;
                        let strength = used.strength.of(&layer.module, family);
                        open.plan(
                            Step { net: open.nets.len(), module: module.into(), layer: layer.clone(), strength },
                            &net,
                        );
                    }
                    None => unmet.push(module.to_string()),
                }
            }
            notes.extend(told(&net, &unmet, met, family)?);
            open.nets.push(net);
        }
        Ok(open)
    }

    /// Remembers which tensors a module changes.
    fn plan(&mut self, step: Step, net: &NetTensors) {
        let biases = ["diff_b", "b_norm"];
        let changes_bias = net.leaves(&step.module).any(|leaf| biases.contains(&leaf));
        let changes_weight = net.leaves(&step.module).any(|leaf| leaf != "alpha" && !biases.contains(&leaf));
        if changes_bias && self.checkpoint.shape(&step.layer.bias).is_some() {
            self.steps.entry(step.layer.bias.clone()).or_default().push(step.clone());
        }
        // supermerger finds no layer for a third of OpenCLIP's matrices.
        if self.like == Like::Supermerger && step.layer.third.is_some() {
            return;
        }
        // A strength of 0 leaves the bytes of the weight alone, but for those whose numbers are another tool's.
        if changes_weight && (step.strength != 0.0 || self.like != Like::Ours) {
            self.steps.entry(step.layer.weight.clone()).or_default().push(step);
        }
    }
}

impl Source for Open {
    fn content(&self, tensor: &PlannedTensor) -> Result<Content<'_>> {
        let name = &tensor.name;
        let Some(steps) = self.steps.get(name) else { return self.checkpoint.content(name, tensor.dtype) };
        let mut values = self.checkpoint.read_f32(name)?;
        for step in steps {
            let net = &self.nets[step.net];
            let shape = net::weight_shape(&self.checkpoint, &step.layer);
            let module = net::module(net, &step.module, shape)?;
            let misfit = |reason: String| {
                let what = format!("{}: {reason}", step.module);
                Error::wrong(net.label(), what, "the file is damaged, or was made for another model")
            };
            let place = Place { third: step.layer.third, shape, is_bias: *name == step.layer.bias };
            apply::apply(&mut values, &module, place, apply::How { strength: step.strength, like: self.like })
                .map_err(misfit)?;
        }
        Ok(Content::Values(values))
    }

    fn done(&self, tensor: &PlannedTensor) {
        self.checkpoint.release(&tensor.name);
    }
}

/// What of a net is not used, in words.
///
/// # Errors
/// When nothing of it is.
fn told(net: &NetTensors, unmet: &[String], met: usize, family: Family) -> Result<Option<String>> {
    let Some(first) = unmet.first() else { return Ok(None) };
    if met == 0 {
        let what = format!("none of its {} modules meets a layer of the checkpoint (first: {first})", unmet.len());
        return Err(Error::wrong(net.label(), what, format!("give a net that was made for {}", family.name())));
    }
    Ok(Some(format!("{}: {} of its modules meet no layer and are left out (first: {first})", net.label(), unmet.len())))
}
