//! DoRA (Liu et al. 2024), weight decomposition, as LyCORIS' `dora_wd` has it for every kind that has a ΔW:
//! W' = m · (W + ΔW) / (‖W + ΔW‖ + ε), with the norm of each output's row (or of each input's column) and trained m.

use burn::tensor::{Tensor, TensorData};
use lorabake_ops::FrozenMatrix;
use lorabake_recipe::network::adapter::Side;

use crate::parameter::{Parameter, Start};
use crate::site::LayerShape;

/// The magnitudes of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Dora {
    /// m: [out, 1], or [1, in].
    pub scale: Tensor<2>,
    /// Rows or columns.
    pub side: Side,
}

pub(crate) fn parameter(layer: LayerShape, side: Side) -> Parameter {
    let mut shape = match side {
        Side::Outputs => vec![layer.outputs(), 1],
        Side::Inputs => vec![1, layer.inputs()],
    };
    if matches!(layer, LayerShape::Conv(_)) {
        shape.extend([1, 1]);
    }
    Parameter::new("dora_scale", &shape, Start::Norms(side))
}

/// ‖W‖ along a side; `weight` is [out, in·taps].
pub(crate) fn norms(weight: &FrozenMatrix, inputs: usize, side: Side) -> Vec<f32> {
    let (outputs, taps) = (weight.rows(), weight.columns() / inputs);
    let mut squares = vec![0.0_f64; if side == Side::Outputs { outputs } else { inputs }];
    for (place, value) in weight.to_f32().into_iter().enumerate() {
        let (row, column) = (place / weight.columns(), place % weight.columns());
        let index = if side == Side::Outputs { row } else { column / taps };
        squares[index] += f64::from(value).powi(2);
    }
    squares.into_iter().map(|sum| sum.sqrt() as f32).collect()
}

impl Dora {
    /// W' − W, [out, in·taps], of the frozen `weight` and ΔW of the same shape.
    pub(crate) fn delta(&self, weight: &FrozenMatrix, change: Tensor<2>, inputs: usize) -> Tensor<2> {
        let base = TensorData::new(weight.to_f32(), change.dims());
        self.delta_of(Tensor::from_data(base, &change.device()), change, inputs)
    }

    /// W' − W of a weight W and ΔW, each [out, in·taps].
    pub(crate) fn delta_of(&self, base: Tensor<2>, change: Tensor<2>, inputs: usize) -> Tensor<2> {
        let [outputs, columns] = change.dims();
        let taps = columns / inputs;
        let whole = (base.clone() + change).reshape([outputs, inputs, taps]);
        let squares = whole.clone() * whole.clone();
        let squares = match self.side {
            Side::Outputs => squares.sum_dim(2).sum_dim(1),
            Side::Inputs => squares.sum_dim(2).sum_dim(0),
        };
        let norm = squares.sqrt().add_scalar(f32::EPSILON);
        let scale = match self.side {
            Side::Outputs => self.scale.clone().reshape([outputs, 1, 1]),
            Side::Inputs => self.scale.clone().reshape([1, inputs, 1]),
        };
        (whole * (scale / norm)).reshape([outputs, columns]) - base
    }
}
