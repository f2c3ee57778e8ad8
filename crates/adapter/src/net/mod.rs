//! Modules of a net's file for painting: what one adds to the weight and bias of its layer, as the AUTOMATIC1111 web UI
//! has it. (Its word for LoRAs and their relatives is "net".)
//!
//! Kinds that are trained here act through their own adapters, so a LoRA stays two small matrices. The others, and those
//! whose change depends on the weight as nets before them have made it, become a change as large as the layer: `Dense`.
//! `fit.rs` reads a module's tensors, `attach.rs` adds the module to a network's adapters.

mod attach;
mod dense;
mod fit;
mod fit_norm;
mod glora;
mod oft;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_recipe::network::adapter::Side;

use crate::dora::Dora;
use crate::draw::AdapterDraw;
use crate::ia3::Ia3Kind;
use crate::kind::AdapterTensors;
use crate::lora::Lora;
use crate::method::Method;
use crate::parameter::Parameter;
use crate::site::LayerShape;
use glora::Glora;
use oft::Oft;

pub use attach::{LayerChange, NetUse};
pub use fit::NetTensor;

/// A module of a net's file that fits its layer.
#[derive(Debug, Clone)]
pub struct NetModule {
    /// The layer as the file sees it: the first convolution of a UNet for inpainting has four channels there.
    layer: LayerShape,
    /// Inputs that the layer has more than the file sees.
    more_inputs: usize,
    /// How the weight is changed, if it is.
    change: Option<NetChange>,
    /// Weight decomposition: magnitudes and their side.
    dora: Option<Magnitudes>,
    /// What is added to the bias.
    bias: Option<Vec<f32>>,
}

/// The magnitudes of a weight decomposition.
#[derive(Debug, Clone)]
struct Magnitudes {
    values: Vec<f32>,
    side: Side,
}

/// How a weight is changed.
#[derive(Debug, Clone)]
enum NetChange {
    /// By a kind that is trained here.
    Trained(Trained),
    /// By a difference as large as the weight, row-major.
    Full(Vec<f32>),
    Glora(Glora),
    Oft(Oft),
}

/// Values of a kind that is trained here.
#[derive(Debug, Clone)]
struct Trained {
    method: Method,
    parameters: Vec<Parameter>,
    values: Vec<Vec<f32>>,
}

impl Trained {
    /// Whether a factor is all zeros, or the scale is 0.
    fn is_nothing(&self) -> bool {
        let is_zero = |values: &Vec<f32>| values.iter().all(|value| *value == 0.0);
        self.method.scale() == 0.0 || self.values.iter().any(is_zero)
    }

    /// The tensors of a pass; of a plain LoRA only the first `ranks` ranks, if they are limited.
    fn tensors(&self, ranks: Option<usize>, device: &Device) -> Arc<dyn AdapterTensors> {
        let mut values = Vec::with_capacity(self.values.len());
        for (values_of, parameter) in self.values.iter().zip(&self.parameters) {
            values.push(Tensor::from_data(TensorData::new(values_of.clone(), parameter.matrix()), device));
        }
        if let (Method::Lora(kind), Some(ranks), 2) = (&self.method, ranks, values.len())
            && ranks < kind.size.rank
        {
            let up: Tensor<2> = values[1].clone().narrow(1, 0, ranks);
            let down = values[0].clone().narrow(0, 0, ranks);
            return Arc::new(Lora { down, up, mid: None, scale: self.method.scale() });
        }
        self.method.kind().tensors(values, &AdapterDraw::default())
    }
}

impl NetModule {
    /// The kind's common name.
    pub fn kind(&self) -> &'static str {
        match &self.change {
            Some(NetChange::Trained(trained)) if self.dora.is_some() && trained.method.name() == "LoRA" => "DoRA",
            Some(NetChange::Trained(trained)) => trained.method.name(),
            Some(NetChange::Full(_)) => "full difference",
            Some(NetChange::Glora(_)) => "GLoRA",
            Some(NetChange::Oft(oft)) => oft.name(),
            None => "bias",
        }
    }

    /// Whether it adds nothing: one of the factors of its change is all zeros, or its rotation none.
    pub fn is_nothing(&self) -> bool {
        let is_zero = |values: &[f32]| values.iter().all(|value| *value == 0.0);
        let change = match &self.change {
            None => true,
            Some(NetChange::Trained(trained)) => trained.is_nothing(),
            Some(NetChange::Full(values)) => is_zero(values),
            Some(NetChange::Glora(glora)) => glora.is_nothing(),
            Some(NetChange::Oft(oft)) => oft.is_nothing(),
        };
        change && self.dora.is_none() && self.bias.as_deref().is_none_or(is_zero)
    }

    /// Whether what it adds to a weight depends on that weight.
    pub fn reads_weight(&self) -> bool {
        let by_kind = match &self.change {
            Some(NetChange::Trained(trained)) => matches!(trained.method, Method::Ia3(Ia3Kind { .. })),
            Some(NetChange::Glora(_) | NetChange::Oft(_)) => true,
            Some(NetChange::Full(_)) | None => false,
        };
        by_kind || self.dora.is_some()
    }

    /// What it adds to `weight` at full strength; of a plain LoRA with its first `ranks` ranks, if they are limited.
    ///
    /// # Shapes
    /// - weight and output: [out, in·k·k]
    pub fn change(&self, weight: &Tensor<2>, ranks: Option<usize>) -> Option<Tensor<2>> {
        let device = weight.device();
        let seen = self.seen(weight);
        let shape = seen.dims();
        let change = match self.change.as_ref()? {
            NetChange::Trained(trained) => trained.tensors(ranks, &device).change_of(&seen)?,
            NetChange::Full(values) => Tensor::from_data(TensorData::new(values.clone(), shape), &device),
            NetChange::Glora(glora) => glora.change(&seen),
            NetChange::Oft(oft) => oft.change(&seen),
        };
        let change = match &self.dora {
            None => change,
            Some(Magnitudes { values, side }) => {
                let scale = Tensor::from_data(TensorData::new(values.clone(), [1, values.len()]), &device);
                Dora { scale, side: *side }.delta_of(seen, change, self.layer.inputs())
            }
        };
        Some(self.widened(change))
    }

    /// The weight of the inputs that the file sees.
    fn seen(&self, weight: &Tensor<2>) -> Tensor<2> {
        if self.more_inputs == 0 {
            return weight.clone();
        }
        let columns = weight.dims()[1] / (self.layer.inputs() + self.more_inputs) * self.layer.inputs();
        weight.clone().narrow(1, 0, columns)
    }

    /// A change of the inputs that the file sees, with zeros for the others.
    fn widened(&self, change: Tensor<2>) -> Tensor<2> {
        if self.more_inputs == 0 {
            return change;
        }
        let [outputs, columns] = change.dims();
        let more = columns / self.layer.inputs() * self.more_inputs;
        let zeros = Tensor::zeros([outputs, more], &change.device());
        Tensor::cat(vec![change, zeros], 1)
    }
}
