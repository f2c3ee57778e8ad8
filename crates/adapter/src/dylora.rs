//! DyLoRA (Valipour et al. 2022): every pass trains one block of ranks, so that the finished file can be cut to any of
//! them. It is saved as a plain LoRA.
//!
//! sd-scripts runs all ranks and scales by √(rank ÷ ranks up to the block's end); LyCORIS runs those up to the end of the
//! block and scales by alpha ÷ number of blocks.

use burn::tensor::Tensor;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::algo::{Dialect, RankBlocks};

use crate::method::{Parameter, Start};
use crate::{Kind, Lora};

/// One pair per row (sd-scripts) or per block (LyCORIS): all of the down factor, then all of the up factor.
pub(crate) fn parameters(layer: Kind, rank: usize, blocks: RankBlocks) -> Vec<Parameter> {
    let (inputs, outputs, k) = (layer.inputs(), layer.outputs(), layer.kernel());
    let rows = rows(blocks);
    let (down, up) = match blocks.dialect {
        Dialect::Kohya => ("lora_A", "lora_B"),
        Dialect::Lycoris => ("down_list", "up_list"),
    };
    let shapes = if k > 1 && blocks.dialect == Dialect::Kohya {
        (vec![rows, inputs, k, k], vec![outputs, rows, 1, 1])
    } else {
        (vec![rows, inputs * k * k], vec![outputs, rows])
    };
    let count = rank / rows;
    let downs = (0..count).map(|i| Parameter::new(format!("{down}.{i}"), &shapes.0, Start::Kaiming));
    let ups = (0..count).map(|i| Parameter::new(format!("{up}.{i}"), &shapes.1, Start::Zero));
    downs.chain(ups).collect()
}

/// Ranks of one trained tensor.
fn rows(blocks: RankBlocks) -> usize {
    if blocks.dialect == Dialect::Kohya { 1 } else { blocks.size }
}

/// First rank of the trained block, for one of `rank ÷ size` blocks.
pub(crate) fn trains(parameter: usize, count: usize, blocks: RankBlocks, start: usize) -> bool {
    let first = (parameter % (count / 2)) * rows(blocks);
    (start..start + blocks.size).contains(&first)
}

/// The LoRA of one pass; without a drawn `start` that of the whole rank.
pub(crate) fn lora(size: RankAlpha, blocks: RankBlocks, start: Option<usize>, values: &[Tensor<2>]) -> Lora {
    let (down, up) = values.split_at(values.len() / 2);
    let scale = size.alpha / size.rank as f64;
    let (used, scale) = match (start, blocks.dialect) {
        (None, _) => (down.len(), scale),
        (Some(start), Dialect::Kohya) => (down.len(), scale * (size.rank as f64 / (start + blocks.size) as f64).sqrt()),
        (Some(start), Dialect::Lycoris) => {
            let used = start / blocks.size + 1;
            (used, size.alpha / used as f64)
        }
    };
    Lora { down: Tensor::cat(down[..used].to_vec(), 0), up: Tensor::cat(up[..used].to_vec(), 1), mid: None, scale }
}

/// Down and up as a file has them: (name, shape, values).
pub(crate) fn joined(
    layer: Kind,
    (rank, blocks): (usize, RankBlocks),
    values: &[Vec<f32>],
) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let (down, up) = values.split_at(values.len() / 2);
    let (rows, outputs, k) = (rows(blocks), layer.outputs(), layer.kernel());
    let mut whole = Vec::with_capacity(outputs * rank);
    for row in 0..outputs {
        up.iter().for_each(|block| whole.extend_from_slice(&block[row * rows..(row + 1) * rows]));
    }
    let (down_shape, up_shape) = match (layer, blocks.dialect) {
        (Kind::Linear { .. }, _) => (vec![rank, layer.inputs()], vec![outputs, rank]),
        (Kind::Conv(_), Dialect::Kohya) => (vec![rank, layer.inputs(), k, k], vec![outputs, rank, 1, 1]),
        (Kind::Conv(_), Dialect::Lycoris) => (vec![rank, layer.inputs(), k, k], vec![outputs, rank]),
    };
    vec![("lora_down.weight".into(), down_shape, down.concat()), ("lora_up.weight".into(), up_shape, whole)]
}

/// The inverse of [`joined`], from the values of down and up.
pub(crate) fn parted(outputs: usize, (rank, blocks): (usize, RankBlocks), down: &[f32], up: &[f32]) -> Vec<Vec<f32>> {
    let (rows, count) = (rows(blocks), rank / rows(blocks));
    let columns = down.len() / rank;
    let downs = down.chunks(rows * columns).map(<[f32]>::to_vec);
    let ups = (0..count).map(|block| {
        (0..outputs).flat_map(|row| &up[row * rank + block * rows..row * rank + (block + 1) * rows]).copied().collect()
    });
    downs.chain(ups).collect()
}
