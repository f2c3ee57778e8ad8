//! (IA)³ (Liu et al. 2022) as LyCORIS 4 trains it: W · (1 + w), along outputs or along inputs; the bias is not scaled.
//!
//! (LyCORIS 1.8 scaled the layer's output with its bias.)

use burn::tensor::Tensor;
use lorabake_ops::{FrozenConv, FrozenLinear};

use crate::Kind;
use crate::method::{Parameter, Start};

/// The factors of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Ia3 {
    /// [1, out], or [1, in].
    pub weight: Tensor<2>,
    /// Inputs instead of outputs.
    pub on_input: bool,
}

pub(crate) fn parameters(layer: Kind, on_input: bool) -> Vec<Parameter> {
    let count = if on_input { layer.inputs() } else { layer.outputs() };
    let shape = match layer {
        Kind::Linear { .. } => vec![count],
        Kind::Conv(_) => vec![1, count, 1, 1],
    };
    vec![Parameter::new("weight", &shape, Start::Zero)]
}

impl Ia3 {
    /// What it adds to a linear layer's output `y` of `x`.
    pub(crate) fn linear<const D: usize>(&self, base: &FrozenLinear, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        let mut shape = [1; D];
        shape[D - 1] = self.weight.dims()[1];
        let weight = self.weight.clone().reshape(shape);
        let (scaled, factor) = if self.on_input { (base.forward(x * weight), None) } else { (y, Some(weight)) };
        let mut shape = [1; D];
        shape[D - 1] = base.outputs();
        without_bias(scaled, base.bias(), shape, factor)
    }

    /// What it adds to a convolution's output `y` of `x`.
    pub(crate) fn conv(&self, base: &FrozenConv, x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
        let weight = self.weight.clone().reshape([1, self.weight.dims()[1], 1, 1]);
        let (scaled, factor) = if self.on_input { (base.forward(x * weight), None) } else { (y, Some(weight)) };
        without_bias(scaled, base.bias(), [1, base.shape().outputs, 1, 1], factor)
    }
}

/// (y − bias) · factor.
fn without_bias<const D: usize>(
    y: Tensor<D>,
    bias: Option<&[f32]>,
    shape: [usize; D],
    factor: Option<Tensor<D>>,
) -> Tensor<D> {
    let y = match bias {
        Some(bias) => {
            let bias = burn::tensor::TensorData::new(bias.to_vec(), shape);
            let device = y.device();
            y - Tensor::from_data(bias, &device)
        }
        None => y,
    };
    match factor {
        Some(factor) => y * factor,
        None => y,
    }
}
