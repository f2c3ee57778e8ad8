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

    /// The weight of a module's layer, its size and its shape in the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn weight(&self, module: &str) -> Result<Option<LayerWeight>> {
        let Some(layer) = self.layers.find(module) else { return Ok(None) };
        let Some(shape) = net::weight_shape(&self.checkpoint, layer) else { return Ok(None) };
        let mut values = self.checkpoint.read_f32(&layer.weight)?;
        if let Some(third) = layer.third {
            let count = values.len() / 3;
            values = values[third * count..(third + 1) * count].to_vec();
        }
        let in_file = self.checkpoint.shape(&layer.weight).unwrap_or_default().to_vec();
        Ok(Some(LayerWeight { matrix: Matrix::new(shape.outputs, shape.columns(), values), shape, in_file }))
    }
}

/// A weight of a model.
#[derive(Debug, Clone)]
pub struct LayerWeight {
    /// The values.
    pub matrix: Matrix,
    /// The size.
    pub shape: WeightShape,
    /// The shape that it has in the file.
    pub in_file: Vec<usize>,
}

/// Reads a module as changes.
///
/// # Errors
/// When it cannot be read, or depends on the weight and there is no model.
pub fn changes(net: &NetTensors, name: &str, model: Option<&BaseModel>) -> Result<Changes> {
    let weight = match model {
        Some(model) => model.weight(name)?,
        None => None,
    };
    let tensors = net.read(name)?;
    let fitted = Module::fit(&tensors, weight.as_ref().map(|weight| weight.shape));
    let module = fitted.map_err(|reason| wrong(net, name, &reason, weight.is_some()))?;
    let is_norm = tensors.keys().any(|leaf| leaf.ends_with("_norm"))
        || tensors.get("diff").is_some_and(|tensor| tensor.shape.len() == 1);
    let own = net.shape(name, "lora_mid.weight").or_else(|| net.shape(name, "lora_down.weight"));
    let own = own.or_else(|| net.shape(name, "diff"));
    let mut form = match (&weight, own) {
        (Some(weight), _) => Form::of(&weight.in_file),
        (None, Some(shape)) => Form::of(shape),
        (None, None) => Form::guessed(module.shape.inputs, module.shape.taps),
    };
    form.inputs = module.shape.inputs;
    let lowered = match module.factors() {
        Some(factors) => Some(Lowered::Factors(factors)),
        None => {
            let base = weight.as_ref().map(|weight| Base { weight: &weight.matrix, shape: weight.shape });
            let delta = module.delta(base).map_err(|reason| wrong(net, name, &reason, false))?;
            delta.map(Lowered::Whole)
        }
    };
    Ok(Changes { weight: lowered, bias: module.bias, form, is_norm })
}

/// What is wrong with a module; without the model, that may be what is missing.
fn wrong(net: &NetTensors, name: &str, reason: &str, has_weight: bool) -> Error {
    let needed = reason.ends_with("which is needed") && !has_weight;
    let remedy = if needed { "give the model that it was made for by --base" } else { "give an undamaged file" };
    Error::wrong(net.label(), format!("{name}: {reason}"), remedy)
}
