//! A change as large as its layer, as an adapter: a weight, a bias, or both.

use burn::tensor::{Tensor, TensorData};
use lorabake_ops::{FrozenConv, FrozenLinear};

use crate::dense::{dense_conv, dense_linear};
use crate::kind::{AdapterTensors, LayerPass};

/// What is added to a layer's weight and bias.
#[derive(Debug)]
pub(crate) struct Dense {
    /// [out, in·k·k].
    pub weight: Option<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Vec<f32>>,
}

impl AdapterTensors for Dense {
    fn delta(&self) -> Option<Tensor<2>> {
        self.weight.clone()
    }

    fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    fn linear(&self, pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let rows = pass.x.dims()[0];
        let device = pass.x.device();
        let outputs = pass.base.outputs();
        let y = self.weight.as_ref().map(|weight| dense_linear(weight, pass.x));
        match (y, &self.bias) {
            (Some(y), None) => y,
            (y, Some(bias)) => {
                let bias = Tensor::<2>::from_data(TensorData::new(bias.clone(), [1, outputs]), &device);
                y.unwrap_or_else(|| Tensor::zeros([rows, outputs], &device)) + bias
            }
            (None, None) => Tensor::zeros([rows, outputs], &device),
        }
    }

    fn conv(&self, pass: LayerPass<'_, FrozenConv, 4>) -> Tensor<4> {
        let shape = pass.base.shape();
        let [batch, _, height, width] = pass.x.dims();
        let device = pass.x.device();
        let y = match &self.weight {
            Some(weight) => dense_conv(weight, shape, pass.x),
            None => {
                let side = |length: usize| (length + 2 * shape.padding - shape.kernel) / shape.stride + 1;
                Tensor::zeros([batch, shape.outputs, side(height), side(width)], &device)
            }
        };
        match &self.bias {
            Some(bias) => {
                let bias = TensorData::new(bias.clone(), [1, shape.outputs, 1, 1]);
                y + Tensor::<4>::from_data(bias, &device)
            }
            None => y,
        }
    }
}
