//! LoHa, the low-rank Hadamard product (FedPara, Hyeon-Woo et al. 2021) as LyCORIS trains it:
//! ΔW = scale · (w1a · w1b) ∘ (w2a · w2b). In the Tucker form each of the two has a core.

use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_recipe::network::RankAlpha;

use crate::draw::AdapterDraw;
use crate::kind::{AdapterKind, AdapterTensors};
use crate::parameter::{NamedShapes, Parameter, Start};
use crate::site::LayerShape;
use crate::tucker::{self, rebuild};

/// LoHa on one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LohaKind {
    /// Rank and alpha.
    pub size: RankAlpha,
    /// Wide convolutions have two cores of their own.
    pub tucker: bool,
}

/// The factors of one layer.
#[derive(Debug)]
struct Loha {
    first: Half,
    second: Half,
    /// alpha ÷ rank.
    scale: f64,
}

/// One of the two products.
#[derive(Debug)]
struct Half {
    /// [out, r], or [r, out] with a core.
    a: Tensor<2>,
    /// [r, in·k·k], or [r, in] with a core.
    b: Tensor<2>,
    /// [r, r·k·k].
    core: Option<Tensor<2>>,
}

impl AdapterKind for LohaKind {
    fn name(&self) -> &'static str {
        "LoHa"
    }

    fn size(&self) -> Option<RankAlpha> {
        Some(self.size)
    }

    fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        let rank = self.size.rank;
        let inputs = layer.inputs();
        let outputs = layer.outputs();
        let k = layer.kernel();
        let has_core = tucker::applies(layer, self.tucker);
        let a = if has_core { [rank, outputs] } else { [outputs, rank] };
        let b = if has_core { [rank, inputs] } else { [rank, inputs * k * k] };
        let mut parameters = vec![
            Parameter::new("hada_w1_a", &a, Start::Normal(0.1)),
            Parameter::new("hada_w1_b", &b, Start::Normal(1.0)),
            Parameter::new("hada_w2_a", &a, Start::Zero),
            Parameter::new("hada_w2_b", &b, Start::Normal(1.0)),
        ];
        if has_core {
            parameters.push(Parameter::new("hada_t1", &[rank, rank, k, k], Start::Normal(0.1)));
            parameters.push(Parameter::new("hada_t2", &[rank, rank, k, k], Start::Normal(0.1)));
        }
        parameters
    }

    fn of_tensors(_layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
        if !tensors.has("hada_w1_b") && !tensors.has("hada_w1_a") {
            return Ok(None);
        }
        let rank = tensors.need("hada_w1_b")?[0];
        Ok(Some(Self { size: RankAlpha { rank, alpha }, tucker: tensors.has("hada_t1") }))
    }

    fn tensors(&self, values: Vec<Tensor<2>>, _draw: &AdapterDraw) -> Arc<dyn AdapterTensors> {
        let mut values = values.into_iter();
        let [a1, b1, a2, b2] = [(); 4].map(|()| values.next().expect("four matrices"));
        let first = Half { a: a1, b: b1, core: values.next() };
        let second = Half { a: a2, b: b2, core: values.next() };
        Arc::new(Loha { first, second, scale: self.scale() })
    }
}

impl Half {
    fn product(&self) -> Tensor<2> {
        match &self.core {
            Some(core) => rebuild(core, self.a.clone().transpose(), &self.b),
            None => self.a.clone().matmul(self.b.clone()),
        }
    }
}

impl AdapterTensors for Loha {
    fn delta(&self) -> Option<Tensor<2>> {
        Some((self.first.product() * self.second.product()).mul_scalar(self.scale))
    }
}
