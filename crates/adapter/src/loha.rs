//! LoHa, the low-rank Hadamard product (FedPara, Hyeon-Woo et al. 2021) as LyCORIS trains it:
//! ΔW = scale · (w1a · w1b) ∘ (w2a · w2b). In the Tucker form each of the two has a core.

use burn::tensor::Tensor;

use crate::method::{Parameter, Start};
use crate::tucker::{self, rebuild};
use crate::{Kind, lora};

/// The factors of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Loha {
    /// (a, b, core) of the first product.
    pub first: Half,
    /// Of the second.
    pub second: Half,
    /// alpha ÷ rank.
    pub scale: f64,
}

/// One of the two products.
#[derive(Debug, Clone)]
pub(crate) struct Half {
    /// [out, r], or [r, out] with a core.
    pub a: Tensor<2>,
    /// [r, in·k·k], or [r, in] with a core.
    pub b: Tensor<2>,
    /// [r, r·k·k].
    pub core: Option<Tensor<2>>,
}

pub(crate) fn parameters(layer: Kind, r: usize, tucker: bool) -> Vec<Parameter> {
    let (inputs, outputs, k) = (layer.inputs(), layer.outputs(), layer.kernel());
    let core = tucker::applies(layer, tucker);
    let (a, b) = if core { ([r, outputs], [r, inputs]) } else { ([outputs, r], [r, inputs * k * k]) };
    let mut parameters = vec![
        Parameter::new("hada_w1_a", &a, Start::Normal(0.1)),
        Parameter::new("hada_w1_b", &b, Start::Normal(1.0)),
        Parameter::new("hada_w2_a", &a, Start::Zero),
        Parameter::new("hada_w2_b", &b, Start::Normal(1.0)),
    ];
    if core {
        parameters.extend(["hada_t1", "hada_t2"].map(|name| Parameter::new(name, &[r, r, k, k], Start::Normal(0.1))));
    }
    parameters
}

impl Half {
    fn product(&self) -> Tensor<2> {
        match &self.core {
            Some(core) => rebuild(core, self.a.clone().transpose(), &self.b),
            None => self.a.clone().matmul(self.b.clone()),
        }
    }
}

impl Loha {
    /// ΔW, [out, in·k·k].
    pub(crate) fn delta(&self) -> Tensor<2> {
        (self.first.product() * self.second.product()).mul_scalar(self.scale)
    }
}

/// The bypass of a linear layer by a whole matrix `delta` [out, in].
pub(crate) fn dense_linear<const D: usize>(delta: &Tensor<2>, x: Tensor<D>) -> Tensor<D> {
    let mut shape = x.dims();
    let inputs = shape[D - 1];
    let rows = shape[..D - 1].iter().product::<usize>();
    shape[D - 1] = delta.dims()[0];
    x.reshape([rows, inputs]).matmul(delta.clone().transpose()).reshape(shape)
}

/// The bypass of a convolution by a whole kernel `delta` [out, in·k·k].
pub(crate) fn dense_conv(delta: &Tensor<2>, shape: lorabake_ops::ConvShape, x: Tensor<4>) -> Tensor<4> {
    lora::wide(delta, shape, x)
}
