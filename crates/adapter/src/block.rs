//! Which block of the UNet a layer belongs to, and the ranks of single blocks; as sd-scripts' `networks.lora` has it.

use lorabake_recipe::blocks::Blocks;
use lorabake_recipe::network::RankAlpha;

use crate::{Kind, PlannedLora, Sites};

/// Index of the block of a layer of the UNet, in the order IN00 to IN11, M00, OUT00 to OUT11; `None` outside of blocks.
///
/// Levels have three blocks each: two or three with a resnet, and on the way down one with the downsampler.
pub fn block_of(path: &str) -> Option<usize> {
    let mut parts = path.split('.');
    let direction = parts.next()?;
    if direction == "mid_block" {
        return Some(12);
    }
    let level: usize = parts.next()?.parse().ok()?;
    let place = match (parts.next()?, parts.next()?.parse::<usize>().ok()?) {
        ("resnets" | "attentions", place) => place,
        ("downsamplers" | "upsamplers", _) => 2,
        _ => return None,
    };
    let first = match direction {
        "down_blocks" => 1,
        "up_blocks" => 13,
        _ => return None,
    };
    Some(first + 3 * level + place)
}

/// Gives the LoRAs of a UNet the rank and alpha of their blocks, and drops those of blocks that get none. `linear` and
/// `conv` are the network's own.
pub fn size_blocks(
    sites: &Sites,
    plans: Vec<PlannedLora>,
    blocks: &Blocks,
    (linear, conv): (RankAlpha, Option<RankAlpha>),
) -> Vec<PlannedLora> {
    let sized = plans.into_iter().filter_map(|plan| {
        let site = sites.get(plan.site);
        let Some(block) = block_of(&site.path) else { return Some(plan) };
        let wide = matches!(site.kind, Kind::Conv(shape) if shape.kernel > 1);
        let usual = if wide { conv? } else { linear };
        Some(PlannedLora::new(sites, plan.site, blocks.size(block, wide, usual)?))
    });
    sized.collect()
}
