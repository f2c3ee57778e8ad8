//! Any module of a net as a change of a weight: two factors where it has such a form exactly, else the whole difference, for
//! which the model may be needed.

use lorabake_weights::lora::NetTensors;

use crate::error::{Error, Result};
use crate::kind::{Base, Factors, Module, WeightShape};
use crate::lora_file::Form;
use crate::matrix::Matrix;
use crate::model::Model;
use crate::net::{self, Layers};

/// A change of a weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Lowered {
    /// A product of two matrices.
    Factors(Factors),
    /// A difference as large as the weight.
    Whole(Matrix),
}

/// A module's changes, and how its layer is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// That of the weight.
    pub weight: Option<Lowered>,
    /// That of the bias.
    pub bias: Option<Vec<f32>>,
    /// How factors of this layer are stored.
    pub form: Form,
    /// It is a norm, whose weight has one axis.
    pub is_norm: bool,
}

/// The model that nets are for, where it was given.
#[derive(Debug)]
pub struct BaseModel {
    /// The checkpoint.
    pub checkpoint: Model,
    /// Its layers.
    pub layers: Layers,
}

impl BaseModel {
    /// That of an open checkpoint.
    pub fn of(checkpoint: impl Into<Model>) -> Self {
        let checkpoint = checkpoint.into();
        let layers = Layers::of(&checkpoint);
        Self { checkpoint, layers }
    }

    /// The size of a module's layer, and the shape of its weight in the file; nothing is read.
    pub fn size(&self, module: &str) -> Option<LayerSize> {
        let layer = self.layers.find(module)?;
        let shape = net::weight_shape(&self.checkpoint, layer)?;
        Some(LayerSize { shape, in_file: self.checkpoint.shape(&layer.weight)?.to_vec() })
    }

    /// The weight of a module's layer, (outputs, inputs·taps).
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn weight(&self, module: &str) -> Result<Option<Matrix>> {
        let Some(layer) = self.layers.find(module) else { return Ok(None) };
        let Some(shape) = net::weight_shape(&self.checkpoint, layer) else { return Ok(None) };
        let mut values = self.checkpoint.read_f32(&layer.weight)?;
        if let Some(third) = layer.third {
            let count = values.len() / 3;
            values = values[third * count..(third + 1) * count].to_vec();
        }
        Ok(Some(Matrix::new(shape.outputs, shape.columns(), values)))
    }
}

/// How large a weight of a model is.
#[derive(Debug, Clone)]
pub struct LayerSize {
    /// The size.
    pub shape: WeightShape,
    /// The shape that the weight has in the file.
    pub in_file: Vec<usize>,
}

/// Numbers that are in memory for a module while it is worked on, in multiples of what is computed for each.
pub fn load(net: &NetTensors, name: &str, model: Option<&BaseModel>) -> usize {
    let numbers = |leaf: &str| net.shape(name, leaf).map_or(0, |shape| shape.iter().product());
    let factors: usize = net.leaves(name).map(numbers).sum();
    let is_plain = net.shape(name, "lora_down.weight").is_some() && net.shape(name, "dora_scale").is_none();
    if is_plain {
        return factors;
    }
    if let Some(size) = model.and_then(|model| model.size(name)) {
        return size.shape.numbers();
    }
    // LoHa and LoKr tell the sides of what they become.
    let side = |leaf: &str, axis: usize| net.shape(name, leaf).and_then(|shape| shape.get(axis)).copied().unwrap_or(1);
    let loha = side("hada_w1_a", 0) * numbers("hada_w1_b") / side("hada_w1_b", 0).max(1);
    let lokr = [numbers("lokr_w1"), numbers("lokr_w2")].into_iter().filter(|count| *count > 0).product::<usize>();
    factors.max(loha).max(lokr)
}

/// Reads a module as changes.
///
/// # Errors
/// When it cannot be read, or depends on the weight and there is no model.
pub fn changes(net: &NetTensors, name: &str, model: Option<&BaseModel>) -> Result<Changes> {
    let size = model.and_then(|model| model.size(name));
    let tensors = net.read(name)?;
    let fitted = Module::fit(&tensors, size.as_ref().map(|size| size.shape));
    let module = fitted.map_err(|reason| wrong(net, name, &reason, size.is_some()))?;
    let is_norm = tensors.keys().any(|leaf| leaf.ends_with("_norm"))
        || tensors.get("diff").is_some_and(|tensor| tensor.shape.len() == 1);
    let own = net.shape(name, "lora_mid.weight").or_else(|| net.shape(name, "lora_down.weight"));
    let own = own.or_else(|| net.shape(name, "diff"));
    let mut form = match (&size, own) {
        (Some(size), _) => Form::of(&size.in_file),
        (None, Some(shape)) => Form::of(shape),
        (None, None) => Form::guessed(module.shape.inputs, module.shape.taps),
    };
    form.inputs = module.shape.inputs;
    let lowered = match module.factors() {
        Some(factors) => Some(Lowered::Factors(factors)),
        None => delta(net, name, &module, model)?.map(Lowered::Whole),
    };
    Ok(Changes { weight: lowered, bias: module.bias, form, is_norm })
}

/// What a module adds to the weight; the model's is read where the kind needs it.
///
/// # Errors
/// When it cannot be read, or is needed and there is no model.
pub fn delta(net: &NetTensors, name: &str, module: &Module, model: Option<&BaseModel>) -> Result<Option<Matrix>> {
    let size = model.and_then(|model| model.size(name));
    let weight = match model {
        Some(model) if module.reads_weight() => model.weight(name)?,
        _ => None,
    };
    let base = match (&weight, &size) {
        (Some(weight), Some(size)) => Some(Base { weight, shape: size.shape }),
        _ => None,
    };
    module.delta(base).map_err(|reason| wrong(net, name, &reason, false))
}

/// What is wrong with a module; without the model, that may be what is missing.
fn wrong(net: &NetTensors, name: &str, reason: &str, has_weight: bool) -> Error {
    let needed = reason.ends_with("which is needed") && !has_weight;
    let remedy = if needed { "give the model that it was made for by --base" } else { "give an undamaged file" };
    Error::wrong(net.label(), format!("{name}: {reason}"), remedy)
}
