//! Hypernetworks of the web UI in pictures: what attention takes for keys and for values goes through x + m·MLP(x) each,
//! with networks by the width of x, so those of self-attention and of cross-attention.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Tensor, activation};

/// A hypernetwork on a device.
#[derive(Debug, Default)]
pub struct Hypernetwork {
    /// By width of attention's input.
    pub networks: BTreeMap<usize, HyperPair>,
}

/// The two networks for one width.
#[derive(Debug)]
pub struct HyperPair {
    /// For what becomes keys.
    pub keys: Vec<HyperLayer>,
    /// For what becomes values.
    pub values: Vec<HyperLayer>,
}

/// A layer of a hypernetwork.
#[derive(Debug)]
pub enum HyperLayer {
    /// x·Wᵀ + b.
    Linear {
        /// [out, in].
        weight: Tensor<2>,
        /// [1, out].
        bias: Tensor<2>,
    },
    /// A layer norm with ε = 1e-5.
    Norm {
        /// [1, width].
        scale: Tensor<2>,
        /// [1, width].
        shift: Tensor<2>,
    },
    /// A function of each number.
    Activation(HyperActivation),
}

/// A function between the layers of a hypernetwork, as torch has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are torch's")]
pub enum HyperActivation {
    Relu,
    LeakyRelu,
    Elu,
    Selu,
    Hardswish,
    Silu,
    Mish,
    Gelu,
    Tanh,
    Sigmoid,
    Softsign,
    Softplus,
    Relu6,
    Hardtanh,
    Tanhshrink,
}

/// What files call the activations. CELU is ELU with torch's defaults; the web UI's swish is torch's Hardswish.
const ACTIVATIONS: [(&str, HyperActivation); 17] = [
    ("relu", HyperActivation::Relu),
    ("leakyrelu", HyperActivation::LeakyRelu),
    ("elu", HyperActivation::Elu),
    ("celu", HyperActivation::Elu),
    ("selu", HyperActivation::Selu),
    ("swish", HyperActivation::Hardswish),
    ("hardswish", HyperActivation::Hardswish),
    ("silu", HyperActivation::Silu),
    ("mish", HyperActivation::Mish),
    ("gelu", HyperActivation::Gelu),
    ("tanh", HyperActivation::Tanh),
    ("sigmoid", HyperActivation::Sigmoid),
    ("softsign", HyperActivation::Softsign),
    ("softplus", HyperActivation::Softplus),
    ("relu6", HyperActivation::Relu6),
    ("hardtanh", HyperActivation::Hardtanh),
    ("tanhshrink", HyperActivation::Tanhshrink),
];

/// torch's constants of SELU.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

impl HyperActivation {
    /// The activation that a file calls so, in small letters; `None` if there is none of that name.
    pub fn of(name: &str) -> Option<Self> {
        ACTIVATIONS.iter().find(|(known, _)| *known == name).map(|(_, activation)| *activation)
    }

    fn forward(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Relu => activation::relu(x),
            Self::LeakyRelu => x.clone().clamp_min(0.0) + x.clamp_max(0.0).mul_scalar(0.01),
            Self::Elu => elu(x, 1.0),
            Self::Selu => elu(x, SELU_ALPHA).mul_scalar(SELU_SCALE),
            Self::Hardswish => x.clone() * x.add_scalar(3.0).clamp(0.0, 6.0).div_scalar(6.0),
            Self::Silu => activation::silu(x),
            Self::Mish => x.clone() * softplus(x).tanh(),
            Self::Gelu => activation::gelu(x),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => activation::sigmoid(x),
            Self::Softsign => x.clone() / x.abs().add_scalar(1.0),
            Self::Softplus => softplus(x),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Hardtanh => x.clamp(-1.0, 1.0),
            Self::Tanhshrink => x.clone() - x.tanh(),
        }
    }
}

fn elu(x: Tensor<2>, alpha: f64) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.clamp_max(0.0).exp().sub_scalar(1.0).mul_scalar(alpha)
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

impl HyperLayer {
    /// # Shapes
    /// - x: [rows, in]
    /// - output: [rows, out]
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Linear { weight, bias } => x.matmul(weight.clone().transpose()) + bias.clone(),
            Self::Norm { scale, shift } => {
                let centered = x.clone() - x.mean_dim(1);
                let variance = (centered.clone() * centered.clone()).mean_dim(1);
                centered / variance.add_scalar(1e-5).sqrt() * scale.clone() + shift.clone()
            }
            Self::Activation(activation) => activation.forward(x),
        }
    }
}

/// A hypernetwork in use.
#[derive(Debug, Clone)]
pub(crate) struct HyperAdapter {
    pub network: Arc<Hypernetwork>,
    /// What its networks' outputs are multiplied with.
    pub strength: f64,
    /// Number of the net.
    pub net: usize,
}

/// What attention makes its keys and its values of.
#[derive(Debug, Clone)]
pub struct Sources {
    /// [B, T, D].
    pub keys: Tensor<3>,
    /// [B, T, D].
    pub values: Tensor<3>,
}

impl HyperAdapter {
    /// What becomes of the sources; they stay as they are if there is no network for their width.
    pub(crate) fn change(&self, sources: Sources) -> Sources {
        let [_, _, width] = sources.keys.dims();
        let Some(pair) = self.network.networks.get(&width) else { return sources };
        Sources { keys: self.through(&pair.keys, sources.keys), values: self.through(&pair.values, sources.values) }
    }

    fn through(&self, layers: &[HyperLayer], x: Tensor<3>) -> Tensor<3> {
        let [batch, length, width] = x.dims();
        let mut y = x.clone().reshape([batch * length, width]);
        for layer in layers {
            y = layer.forward(y);
        }
        x + y.reshape([batch, length, width]).mul_scalar(self.strength)
    }
}
