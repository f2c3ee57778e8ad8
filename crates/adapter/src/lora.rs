//! LoRA (Hu et al. 2021) as a bypass: y = W·x + scale · up(down(x)), with scale = alpha ÷ rank.
//!
//! In LyCORIS' Tucker form a wide convolution has a core between the two: up and down are 1×1 then.

use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear};
use lorabake_recipe::network::RankAlpha;

use crate::dense::{dense_conv, dense_linear, masked_channels, masked_columns, pointwise};
use crate::draw::AdapterDraw;
use crate::kind::{AdapterKind, AdapterTensors, LayerPass, LowRank};
use crate::parameter::{NamedShapes, Parameter, Start};
use crate::site::LayerShape;
use crate::tucker::{self, rebuild};

/// LoRA on one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraKind {
    /// Rank and alpha.
    pub size: RankAlpha,
    /// Wide convolutions have a core of their own.
    pub tucker: bool,
}

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

impl AdapterKind for LoraKind {
    fn name(&self) -> &'static str {
        "LoRA"
    }

    fn size(&self) -> Option<RankAlpha> {
        Some(self.size)
    }

    /// Down, up and perhaps mid, as files have them.
    fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        let rank = self.size.rank;
        let inputs = layer.inputs();
        let outputs = layer.outputs();
        let k = layer.kernel();
        let has_core = tucker::applies(layer, self.tucker);
        let mut parameters = match layer {
            LayerShape::Linear { .. } => vec![
                Parameter::new("lora_down.weight", &[rank, inputs], Start::Kaiming),
                Parameter::new("lora_up.weight", &[outputs, rank], Start::Zero),
            ],
            LayerShape::Conv(_) => {
                let side = if has_core { 1 } else { k };
                vec![
                    Parameter::new("lora_down.weight", &[rank, inputs, side, side], Start::Kaiming),
                    Parameter::new("lora_up.weight", &[outputs, rank, 1, 1], Start::Zero),
                ]
            }
        };
        if has_core {
            parameters.push(Parameter::new("lora_mid.weight", &[rank, rank, k, k], Start::Kaiming));
        }
        parameters
    }

    fn of_tensors(_layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
        if !tensors.has("lora_down.weight") && !tensors.has("lora_up.weight") {
            return Ok(None);
        }
        let rank = tensors.need("lora_down.weight")?[0];
        Ok(Some(Self { size: RankAlpha { rank, alpha }, tucker: tensors.has("lora_mid.weight") }))
    }

    fn tensors(&self, values: Vec<Tensor<2>>, _draw: &AdapterDraw) -> Arc<dyn AdapterTensors> {
        let mut values = values.into_iter();
        let down = values.next().expect("down");
        let up = values.next().expect("up");
        Arc::new(Lora { down, up, mid: values.next(), scale: self.scale() })
    }
}

impl AdapterTensors for Lora {
    fn delta(&self) -> Option<Tensor<2>> {
        let product = match &self.mid {
            Some(mid) => rebuild(mid, self.up.clone(), &self.down),
            None => self.up.clone().matmul(self.down.clone()),
        };
        Some(product.mul_scalar(self.scale))
    }

    fn low_rank(&self) -> Option<LowRank<'_>> {
        Some(LowRank { down: &self.down, up: &self.up, scale: self.scale })
    }

    fn linear(&self, mut pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let mask = pass.output_mask(pass.base.outputs());
        let mut inner = dense_linear(&self.down, pass.x).mul_scalar(self.scale);
        if let Some(dropped) = &mut pass.dropped {
            inner = dropped.ranks_of_rows(inner);
        }
        masked_columns(dense_linear(&self.up, inner), mask)
    }

    /// `down` has the layer's kernel, stride and padding, `up` is 1×1; in the Tucker form `mid` has them instead.
    fn conv(&self, mut pass: LayerPass<'_, FrozenConv, 4>) -> Tensor<4> {
        let shape = pass.base.shape();
        let mask = pass.output_mask(shape.outputs);
        let rank = self.up.dims()[1];
        let mut inner = match &self.mid {
            Some(mid) => {
                let core = ConvShape { inputs: rank, outputs: rank, ..shape };
                dense_conv(mid, core, pointwise(&self.down, pass.x))
            }
            None => dense_conv(&self.down, ConvShape { outputs: rank, ..shape }, pass.x),
        };
        inner = inner.mul_scalar(self.scale);
        if let Some(dropped) = &mut pass.dropped {
            inner = dropped.ranks_of_channels(inner);
        }
        masked_channels(pointwise(&self.up, inner), mask)
    }
}
