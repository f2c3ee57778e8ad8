//! Which blocks of the UNet stay in the file and are read whenever they are used (`--blocks_to_swap`).

use std::collections::{BTreeMap, BTreeSet};

use lorabake_adapter::block_of;
use lorabake_model::Bundle;
use lorabake_recipe::network::blocks::Numbering;
use lorabake_weights::{Family, Part};

/// Blocks that are not held in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Swapped {
    numbering: Numbering,
    blocks: BTreeSet<usize>,
}

impl Swapped {
    /// Whether the layer at a diffusers path is in one of them.
    pub fn holds(&self, path: &str) -> bool {
        block_of(path, self.numbering).is_some_and(|block| self.blocks.contains(&block))
    }
}

/// The `count` blocks that take most memory.
pub(crate) fn largest_blocks(bundle: &Bundle, count: usize) -> Swapped {
    let numbering = if bundle.family == Family::Sdxl { Numbering::Sdxl } else { Numbering::Sd };
    let mut bytes: BTreeMap<usize, usize> = BTreeMap::new();
    for (path, own) in bundle.matrices(Part::Unet) {
        if let Some(block) = block_of(path, numbering) {
            *bytes.entry(block).or_default() += own;
        }
    }
    let mut largest: Vec<(usize, usize)> = bytes.into_iter().map(|(block, bytes)| (bytes, block)).collect();
    largest.sort_by(|a, b| b.cmp(a));
    Swapped { numbering, blocks: largest.into_iter().take(count).map(|(_, block)| block).collect() }
}
