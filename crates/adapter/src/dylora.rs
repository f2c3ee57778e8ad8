//! DyLoRA (Valipour et al. 2022): every pass trains one block of ranks, so that the finished file can be cut to any of
//! them. It is saved as a plain LoRA.
//!
//! sd-scripts runs all ranks and scales by √(rank ÷ ranks up to the block's end); LyCORIS runs those up to the end of the
//! block and scales by alpha ÷ number of blocks.

use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::algo::{Dialect, RankBlocks};
use rand::{Rng, RngCore};

use crate::draw::AdapterDraw;
use crate::kind::{AdapterKind, AdapterTensors, ReadValues, read_sized};
use crate::lora::Lora;
use crate::parameter::{AdapterTensor, NamedShapes, Parameter, Start};
use crate::site::LayerShape;

const DOWN: &str = "lora_down.weight";
const UP: &str = "lora_up.weight";

/// DyLoRA on one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DyLoraKind {
    /// Rank and alpha.
    pub size: RankAlpha,
    /// Ranks of a block, and whose rules hold.
    pub blocks: RankBlocks,
}

impl DyLoraKind {
    /// Ranks of one trained tensor.
    fn rows(&self) -> usize {
        match self.blocks.dialect {
            Dialect::Kohya => 1,
            Dialect::Lycoris => self.blocks.size,
        }
    }
}

impl AdapterKind for DyLoraKind {
    fn name(&self) -> &'static str {
        "DyLoRA"
    }

    fn size(&self) -> Option<RankAlpha> {
        Some(self.size)
    }

    /// One pair per row (sd-scripts) or per block (LyCORIS): all of the down factor, then all of the up factor.
    fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        let inputs = layer.inputs();
        let outputs = layer.outputs();
        let k = layer.kernel();
        let rows = self.rows();
        let (down, up) = match self.blocks.dialect {
            Dialect::Kohya => ("lora_A", "lora_B"),
            Dialect::Lycoris => ("down_list", "up_list"),
        };
        let (down_shape, up_shape) = if k > 1 && self.blocks.dialect == Dialect::Kohya {
            (vec![rows, inputs, k, k], vec![outputs, rows, 1, 1])
        } else {
            (vec![rows, inputs * k * k], vec![outputs, rows])
        };
        let count = self.size.rank / rows;
        let mut parameters = Vec::with_capacity(2 * count);
        for index in 0..count {
            parameters.push(Parameter::new(format!("{down}.{index}"), &down_shape, Start::Kaiming));
        }
        for index in 0..count {
            parameters.push(Parameter::new(format!("{up}.{index}"), &up_shape, Start::Zero));
        }
        parameters
    }

    /// A file of a DyLoRA is one of a LoRA.
    fn of_tensors(_layer: LayerShape, _alpha: f64, _tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
        Ok(None)
    }

    /// The LoRA of one pass; without a drawn start that of the whole rank.
    fn tensors(&self, values: Vec<Tensor<2>>, draw: &AdapterDraw) -> Arc<dyn AdapterTensors> {
        let (down, up) = values.split_at(values.len() / 2);
        let mut used = down.len();
        let mut scale = self.scale();
        if let Some(start) = draw.start {
            match self.blocks.dialect {
                Dialect::Kohya => scale *= (self.size.rank as f64 / (start + self.blocks.size) as f64).sqrt(),
                Dialect::Lycoris => {
                    used = start / self.blocks.size + 1;
                    scale = self.size.alpha / used as f64;
                }
            }
        }
        let down = Tensor::cat(down[..used].to_vec(), 0);
        let up = Tensor::cat(up[..used].to_vec(), 1);
        Arc::new(Lora { down, up, mid: None, scale })
    }

    fn decomposes(&self) -> bool {
        false
    }

    fn draw_start(&self, rng: &mut dyn RngCore) -> Option<usize> {
        let blocks = self.size.rank / self.blocks.size;
        Some(rng.random_range(0..blocks) * self.blocks.size)
    }

    /// One block is trained, and both of its factors.
    fn trains(&self, index: usize, count: usize, draw: &AdapterDraw) -> bool {
        let Some(start) = draw.start else { return true };
        let rank = (index % (count / 2)) * self.rows();
        (start..start + self.blocks.size).contains(&rank)
    }

    /// Down and up of all ranks.
    fn to_file(&self, layer: LayerShape, _parameters: &[Parameter], values: &[Vec<f32>]) -> Vec<AdapterTensor> {
        let (downs, ups) = values.split_at(values.len() / 2);
        let rank = self.size.rank;
        let rows = self.rows();
        let inputs = layer.inputs();
        let outputs = layer.outputs();
        let k = layer.kernel();
        let mut up = Vec::with_capacity(outputs * rank);
        for output in 0..outputs {
            for block in ups {
                up.extend_from_slice(&block[output * rows..(output + 1) * rows]);
            }
        }
        let (down_shape, up_shape) = match (layer, self.blocks.dialect) {
            (LayerShape::Linear { .. }, _) => (vec![rank, inputs], vec![outputs, rank]),
            (LayerShape::Conv(_), Dialect::Kohya) => (vec![rank, inputs, k, k], vec![outputs, rank, 1, 1]),
            (LayerShape::Conv(_), Dialect::Lycoris) => (vec![rank, inputs, k, k], vec![outputs, rank]),
        };
        vec![
            AdapterTensor { leaf: DOWN.into(), shape: down_shape, values: downs.concat() },
            AdapterTensor { leaf: UP.into(), shape: up_shape, values: up },
        ]
    }

    fn of_file(
        &self,
        layer: LayerShape,
        _parameters: &[Parameter],
        read: &ReadValues<'_, '_>,
    ) -> Result<Vec<Vec<f32>>, String> {
        let rank = self.size.rank;
        let rows = self.rows();
        let outputs = layer.outputs();
        let patch = layer.inputs() * layer.kernel() * layer.kernel();
        let down = read_sized(read, DOWN, rank * patch)?;
        let up = read_sized(read, UP, rank * outputs)?;
        let mut values: Vec<Vec<f32>> = down.chunks(rows * patch).map(<[f32]>::to_vec).collect();
        for first in (0..rank).step_by(rows) {
            let mut block = Vec::with_capacity(outputs * rows);
            for output in 0..outputs {
                block.extend_from_slice(&up[output * rank + first..][..rows]);
            }
            values.push(block);
        }
        Ok(values)
    }
}
