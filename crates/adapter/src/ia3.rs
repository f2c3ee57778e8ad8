//! (IA)³ (Liu et al. 2022) as LyCORIS 4 trains it: W · (1 + w), along outputs or along inputs; the bias is not scaled.
//!
//! (LyCORIS 1.8 scaled the layer's output with its bias.)

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use lorabake_ops::{FrozenConv, FrozenLinear};
use lorabake_recipe::network::RankAlpha;

use crate::draw::AdapterDraw;
use crate::kind::{AdapterKind, AdapterTensors, LayerPass};
use crate::parameter::{NamedShapes, Parameter, Start};
use crate::site::LayerShape;

const OUTPUT: &str = "the output of the frozen layer is there for kinds that read it";

/// (IA)³ on one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ia3Kind {
    /// Inputs are scaled instead of outputs.
    pub on_input: bool,
}

/// The factors of one layer.
#[derive(Debug)]
struct Ia3 {
    /// [1, out], or [1, in].
    weight: Tensor<2>,
    on_input: bool,
}

impl AdapterKind for Ia3Kind {
    fn name(&self) -> &'static str {
        "IA3"
    }

    fn size(&self) -> Option<RankAlpha> {
        None
    }

    fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        let count = if self.on_input { layer.inputs() } else { layer.outputs() };
        let shape = match layer {
            LayerShape::Linear { .. } => vec![count],
            LayerShape::Conv(_) => vec![1, count, 1, 1],
        };
        vec![Parameter::new("weight", &shape, Start::Zero)]
    }

    fn of_tensors(_layer: LayerShape, _alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
        if !tensors.has("weight") {
            return Ok(None);
        }
        let on_input = tensors.on_input.ok_or("on_input is missing")?;
        Ok(Some(Self { on_input }))
    }

    fn tensors(&self, mut values: Vec<Tensor<2>>, _draw: &AdapterDraw) -> Arc<dyn AdapterTensors> {
        Arc::new(Ia3 { weight: values.remove(0), on_input: self.on_input })
    }

    fn decomposes(&self) -> bool {
        false
    }
}

impl AdapterTensors for Ia3 {
    fn delta(&self) -> Option<Tensor<2>> {
        None
    }

    fn change_of(&self, weight: &Tensor<2>) -> Option<Tensor<2>> {
        let [outputs, columns] = weight.dims();
        if !self.on_input {
            return Some(weight.clone() * self.weight.clone().reshape([outputs, 1]));
        }
        let inputs = self.weight.dims()[1];
        let by_input = weight.clone().reshape([outputs, inputs, columns / inputs]);
        Some((by_input * self.weight.clone().reshape([1, inputs, 1])).reshape([outputs, columns]))
    }

    fn reads_output(&self) -> bool {
        !self.on_input
    }

    fn linear(&self, pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let weight = self.weight.clone();
        let bias = pass.base.bias();
        let of_bias = [1, pass.base.outputs()];
        if self.on_input {
            without_bias(pass.base.forward(pass.x * weight), bias, of_bias)
        } else {
            without_bias(pass.y.expect(OUTPUT), bias, of_bias) * weight
        }
    }

    fn conv(&self, pass: LayerPass<'_, FrozenConv, 4>) -> Tensor<4> {
        let channels = self.weight.dims()[1];
        let weight = self.weight.clone().reshape([1, channels, 1, 1]);
        let bias = pass.base.bias();
        let of_bias = [1, pass.base.shape().outputs, 1, 1];
        if self.on_input {
            without_bias(pass.base.forward(pass.x * weight), bias, of_bias)
        } else {
            without_bias(pass.y.expect(OUTPUT), bias, of_bias) * weight
        }
    }
}

/// y − bias, of this shape.
fn without_bias<const D: usize>(y: Tensor<D>, bias: Option<&[f32]>, shape: [usize; D]) -> Tensor<D> {
    let Some(bias) = bias else { return y };
    let bias = Tensor::from_data(TensorData::new(bias.to_vec(), shape), &y.device());
    y - bias
}
