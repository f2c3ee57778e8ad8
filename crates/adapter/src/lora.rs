//! LoRA (Hu et al. 2021) as a bypass: y = W·x + scale · up(down(x)), with scale = alpha ÷ rank.
//!
//! In LyCORIS' Tucker form a wide convolution has a core between the two: up and down are 1×1 then.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use lorabake_ops::ConvShape;

use crate::dropout::Dropped;
use crate::method::{Parameter, Start};
use crate::tucker::rebuild;
use crate::{Kind, tucker};

/// The factors of one layer.
#[derive(Debug, Clone)]
pub struct Lora {
    /// [rank, in] or [rank, in·k·k]; [rank, in] in the Tucker form.
    pub down: Tensor<2>,
    /// [out, rank].
    pub up: Tensor<2>,
    /// [rank, rank·k·k] in the Tucker form.
    pub mid: Option<Tensor<2>>,
    /// alpha ÷ rank.
    pub scale: f64,
}

/// Down, up and perhaps mid, as files have them.
pub(crate) fn parameters(layer: Kind, r: usize, tucker: bool) -> Vec<Parameter> {
    let (inputs, outputs, k) = (layer.inputs(), layer.outputs(), layer.kernel());
    let mut parameters = match layer {
        Kind::Linear { .. } => vec![
            Parameter::new("lora_down.weight", &[r, inputs], Start::Kaiming),
            Parameter::new("lora_up.weight", &[outputs, r], Start::Zero),
        ],
        Kind::Conv(_) => {
            let side = if tucker::applies(layer, tucker) { 1 } else { k };
            vec![
                Parameter::new("lora_down.weight", &[r, inputs, side, side], Start::Kaiming),
                Parameter::new("lora_up.weight", &[outputs, r, 1, 1], Start::Zero),
            ]
        }
    };
    if tucker::applies(layer, tucker) {
        parameters.push(Parameter::new("lora_mid.weight", &[r, r, k, k], Start::Kaiming));
    }
    parameters
}

impl Lora {
    /// The bypass of a linear layer.
    ///
    /// # Shapes
    /// - x: [.., in]
    /// - output: [.., out]
    pub fn linear<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.linear_dropped(x, None)
    }

    pub(crate) fn linear_dropped<const D: usize>(&self, x: Tensor<D>, dropped: Option<&mut Dropped>) -> Tensor<D> {
        let mut shape = x.dims();
        let (batch, inputs) = (shape[0], shape[D - 1]);
        let rows = shape[..D - 1].iter().product::<usize>();
        let mut inner = x.reshape([rows, inputs]).matmul(self.down.clone().transpose()).mul_scalar(self.scale);
        if let Some(dropped) = dropped {
            inner = dropped.ranks_last(inner, batch);
        }
        shape[D - 1] = self.up.dims()[0];
        inner.matmul(self.up.clone().transpose()).reshape(shape)
    }

    /// The bypass of a convolution: `down` has the layer's kernel, stride and padding, `up` is 1×1; in the Tucker form
    /// `mid` has them instead.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn conv(&self, shape: ConvShape, x: Tensor<4>) -> Tensor<4> {
        self.conv_dropped(shape, x, None)
    }

    pub(crate) fn conv_dropped(&self, shape: ConvShape, x: Tensor<4>, dropped: Option<&mut Dropped>) -> Tensor<4> {
        let rank = self.up.dims()[1];
        let mut inner = match &self.mid {
            Some(mid) => wide(mid, ConvShape { inputs: rank, outputs: rank, ..shape }, pointwise(&self.down, x)),
            None => wide(&self.down, ConvShape { outputs: rank, ..shape }, x),
        };
        inner = inner.mul_scalar(self.scale);
        if let Some(dropped) = dropped {
            inner = dropped.ranks_second(inner);
        }
        pointwise(&self.up, inner)
    }

    /// ΔW, [out, in·k·k].
    pub(crate) fn delta(&self) -> Tensor<2> {
        let product = match &self.mid {
            Some(mid) => rebuild(mid, self.up.clone(), &self.down),
            None => self.up.clone().matmul(self.down.clone()),
        };
        product.mul_scalar(self.scale)
    }
}

/// A convolution of this shape with `weight` [out, in·k·k] and no bias.
pub(crate) fn wide(weight: &Tensor<2>, shape: ConvShape, x: Tensor<4>) -> Tensor<4> {
    if shape.kernel == 1 && shape.stride == 1 {
        return pointwise(weight, x);
    }
    let weight = weight.clone().reshape([shape.outputs, shape.inputs, shape.kernel, shape.kernel]);
    conv2d(x, weight, None, ConvOptions::new([shape.stride; 2], [shape.padding; 2], [1; 2], 1))
}

/// A 1×1 convolution with `weight` [out, in].
pub(crate) fn pointwise(weight: &Tensor<2>, x: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let outputs = weight.dims()[0];
    weight.clone().unsqueeze::<3>().matmul(x.reshape([b, c, h * w])).reshape([b, outputs, h, w])
}
