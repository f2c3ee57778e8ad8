//! One layer of two models: how much it differs, and its difference as a module.

use half::bf16;
use lorabake_weights::Part;
use lorabake_weights::keys::layers::LayerKeys;
use safetensors::Dtype;

use crate::error::Result;
use crate::kind::WeightShape;
use crate::like::Like;
use crate::lora_file::{Form, Ready};
use crate::matrix::Matrix;
use crate::model::Model;
use crate::net;

/// Which layers a LoRA of sd-scripts has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Text encoders' layers and the UNet's transformers: those of every LoRA.
    Attention,
    /// Residual blocks, downsamplers, upsamplers: those of a LoCon.
    Residual,
    /// First and last convolutions, embeddings of time and size.
    Outer,
    /// Norms.
    Norm,
}

/// The group of a layer.
pub fn group(keys: &LayerKeys) -> Group {
    let path = keys.path.as_str();
    if path.contains("norm") || path.contains("ln_") {
        return Group::Norm;
    }
    match keys.part {
        Part::TextEncoder | Part::TextEncoder2 if path.contains(".layers.") => Group::Attention,
        Part::Unet if path.contains("attentions.") => Group::Attention,
        Part::Unet if ["resnets.", "downsamplers.", "upsamplers."].iter().any(|word| path.contains(word)) => {
            Group::Residual
        }
        _ => Group::Outer,
    }
}

/// A layer that differs.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub keys: LayerKeys,
    pub shape: WeightShape,
    pub form: Form,
    /// Numbers of the weight.
    pub numbers: usize,
    /// ‖W‖² and ‖D‖².
    pub weight: f64,
    pub energy: f64,
    /// The largest entry of D.
    pub largest: f32,
    /// What rounding explains of the difference, as a share of the weight's norm.
    pub rounding: f64,
}

impl Layer {
    /// Whether it is a convolution over more than one pixel.
    pub fn is_wide(&self) -> bool {
        self.shape.taps > 1
    }
}

/// Both models.
#[derive(Clone, Copy)]
pub(super) struct Weights<'c> {
    pub base: &'c Model,
    pub tuned: &'c Model,
}

impl Weights<'_> {
    /// The size of a layer; `None` if the tuned model has no such layer.
    ///
    /// # Errors
    /// When it is of another size there.
    pub fn shape(&self, keys: &LayerKeys) -> std::result::Result<Option<WeightShape>, String> {
        let Some(own) = net::weight_shape(self.base, keys) else { return Ok(None) };
        match net::weight_shape(self.tuned, keys) {
            None => Ok(None),
            Some(other) if other == own => Ok(Some(own)),
            Some(_) => {
                let shape = |model: &Model| model.shape(&keys.weight).map(<[usize]>::to_vec).unwrap_or_default();
                Err(format!("{} has shape {:?}, the base has {:?}", keys.weight, shape(self.tuned), shape(self.base)))
            }
        }
    }

    /// What of a difference the numbers' types explain: half a step of the coarser where they differ, none else.
    fn rounding(&self, key: &str) -> f64 {
        match (self.base.dtype(key), self.tuned.dtype(key)) {
            (one, other) if one == other => 0.0,
            // Both are rounded to bf16, which is exact where the one was made from the other.
            (Some(Dtype::BF16), _) | (_, Some(Dtype::BF16)) => 1e-4,
            _ => 2.0_f64.powi(-11),
        }
    }

    /// Compares a layer; `None` if it is the same in both.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn compare(&self, keys: &LayerKeys, shape: WeightShape, like: Like) -> Result<Option<Layer>> {
        let same_bytes = self.base.dtype(&keys.weight) == self.tuned.dtype(&keys.weight)
            && self.base.copied(&keys.weight)? == self.tuned.copied(&keys.weight)?;
        self.base.release(&keys.weight);
        self.tuned.release(&keys.weight);
        if same_bytes {
            return Ok(None);
        }
        let form = Form::of(self.base.shape(&keys.weight).unwrap_or_default());
        let numbers = shape.outputs * shape.columns();
        let mut layer = Layer {
            keys: keys.clone(),
            shape,
            form,
            numbers,
            weight: 0.0,
            energy: 0.0,
            largest: 0.0,
            rounding: self.rounding(&keys.weight),
        };
        let [base, tuned] = self.both(&layer)?;
        let mut is_close = true;
        for (base, tuned) in base.iter().zip(&tuned) {
            let difference = tuned - base;
            layer.weight += f64::from(*base).powi(2);
            layer.energy += f64::from(difference).powi(2);
            layer.largest = layer.largest.max(difference.abs());
            // torch's `allclose`, by which LyCORIS leaves layers out.
            is_close &= difference.abs() <= 1e-8 + 1e-5 * tuned.abs();
        }
        let same = if like == Like::Lycoris { is_close } else { layer.energy == 0.0 };
        Ok(if same { None } else { Some(layer) })
    }

    /// The weights of a layer in both models.
    fn both(&self, layer: &Layer) -> Result<[Vec<f32>; 2]> {
        let mut both = [self.base.read_f32(&layer.keys.weight)?, self.tuned.read_f32(&layer.keys.weight)?];
        if let Some(third) = layer.keys.third {
            for values in &mut both {
                let count = values.len() / 3;
                *values = values[third * count..(third + 1) * count].to_vec();
            }
        }
        self.coarsen(&layer.keys.weight, &mut both);
        Ok(both)
    }

    /// If one of two tensors is in bf16, the other is rounded to it.
    fn coarsen(&self, key: &str, both: &mut [Vec<f32>; 2]) {
        let types = [self.base.dtype(key), self.tuned.dtype(key)];
        if types[0] == types[1] || !types.contains(&Some(Dtype::BF16)) {
            return;
        }
        for values in both {
            values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
        }
    }

    /// D.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn difference(&self, layer: &Layer) -> Result<Matrix> {
        let [base, mut tuned] = self.both(layer)?;
        tuned.iter_mut().zip(&base).for_each(|(tuned, base)| *tuned -= base);
        Ok(Matrix::new(layer.shape.outputs, layer.shape.columns(), tuned))
    }

    /// The difference of a tensor that is no layer's weight; `None` if there is none.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn of_key(&self, key: &str) -> Result<Option<Vec<f32>>> {
        if self.base.shape(key).is_none() || self.base.shape(key) != self.tuned.shape(key) {
            return Ok(None);
        }
        let mut both = [self.base.read_f32(key)?, self.tuned.read_f32(key)?];
        self.coarsen(key, &mut both);
        let [base, mut tuned] = both;
        tuned.iter_mut().zip(&base).for_each(|(tuned, base)| *tuned -= base);
        Ok(if tuned.iter().all(|value| *value == 0.0) { None } else { Some(tuned) })
    }

    /// The difference of a layer's bias.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn bias(&self, layer: &Layer) -> Result<Option<Vec<f32>>> {
        let Some(bias) = self.of_key(&layer.keys.bias)? else { return Ok(None) };
        let Some(third) = layer.keys.third else { return Ok(Some(bias)) };
        let count = bias.len() / 3;
        Ok(Some(bias[third * count..(third + 1) * count].to_vec()))
    }
}

/// A layer's module.
pub(super) struct Made {
    pub ready: Ready,
    pub rank: Option<usize>,
    /// What of ‖D‖² is not in it.
    pub lost: f64,
}
