//! UNet keys of a checkpoint → diffusers names.
//!
//! The original code numbers its blocks through (`input_blocks.0…11`); diffusers groups them into levels of resnets,
//! attentions and samplers. Which number is what is read off the keys. Naming of the targets: diffusers
//! `UNet2DConditionModel`.

use std::collections::BTreeSet;
use std::ops::Bound;

use lorabake_recipe::model::Family;

/// What each numbered block of a file is in diffusers' terms.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    input: Vec<Position>,
    output: Vec<Position>,
    /// Output blocks that have an attention, so that their sampler comes third.
    output_attention: Vec<usize>,
}

/// A resnet (with or without attention and sampler) at a place of a level.
#[derive(Debug, Clone, Copy)]
struct Position {
    level: usize,
    place: usize,
}

/// Name endings inside a residual block: original → diffusers.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// Layers outside of the numbered blocks.
const OUTER: [(&str, &str); 7] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
];

impl Layout {
    /// Reads the layout off the keys of one UNet, without their common prefix.
    pub fn of(keys: &[&str]) -> Self {
        let keys_by_start = Starts::of(keys);
        let mut layout = Layout::default();
        let mut at = Position { level: 0, place: 0 };
        for block in 1..count(keys, "input_blocks.") {
            layout.input.push(at);
            let downsampler = format!("input_blocks.{block}.0.op.");
            at = after(at, keys_by_start.has(&downsampler));
        }
        at = Position { level: 0, place: 0 };
        for block in 0..count(keys, "output_blocks.") {
            layout.output.push(at);
            let attention = format!("output_blocks.{block}.1.transformer_blocks.");
            if keys_by_start.has(&attention) {
                layout.output_attention.push(block);
            }
            let upsamplers = [1, 2].map(|slot| format!("output_blocks.{block}.{slot}.conv."));
            at = after(at, upsamplers.iter().any(|sampler| keys_by_start.has(sampler)));
        }
        layout
    }

    /// The layout of a family's usual UNet: three blocks a level, attention on all levels but the deepest, of SDXL but the
    /// finest.
    pub fn usual(family: Family) -> Self {
        let blocks = if family == Family::Sdxl { 9 } else { 12 };
        let position = |index: usize| Position { level: index / 3, place: index % 3 };
        Layout {
            input: (0..blocks - 1).map(position).collect(),
            output: (0..blocks).map(position).collect(),
            output_attention: if family == Family::Sdxl { (0..6).collect() } else { (3..12).collect() },
        }
    }

    /// Reads the layout off the names that diffusers gives the tensors of one UNet.
    pub fn of_diffusers(names: &[&str]) -> Self {
        let starts = Starts::of(names);
        let mut layout = Layout::default();
        for level in 0..count(names, "down_blocks.") {
            let places = count(names, &format!("down_blocks.{level}.resnets."));
            let sampler = usize::from(starts.has(&format!("down_blocks.{level}.downsamplers.")));
            layout.input.extend((0..places + sampler).map(|place| Position { level, place }));
        }
        for level in 0..count(names, "up_blocks.") {
            for place in 0..count(names, &format!("up_blocks.{level}.resnets.")) {
                if starts.has(&format!("up_blocks.{level}.attentions.{place}.")) {
                    layout.output_attention.push(layout.output.len());
                }
                layout.output.push(Position { level, place });
            }
        }
        layout
    }

    /// The diffusers name of a key without its prefix.
    pub fn diffusers_name(&self, key: &str) -> Option<String> {
        if let Some(name) = replace_start(key, &OUTER) {
            return Some(name);
        }
        if let Some(rest) = key.strip_prefix("middle_block.") {
            return match rest.split_once('.')? {
                ("0", rest) => Some(format!("mid_block.resnets.0.{}", replace_start(rest, &RESNET)?)),
                ("1", rest) => Some(format!("mid_block.attentions.0.{}", attention(rest)?)),
                ("2", rest) => Some(format!("mid_block.resnets.1.{}", replace_start(rest, &RESNET)?)),
                _ => None,
            };
        }
        if let Some(rest) = key.strip_prefix("input_blocks.") {
            let (block, slot, rest) = block_and_slot(rest)?;
            let Position { level, place } = *self.input.get(block.checked_sub(1)?)?;
            return match (slot, rest.strip_prefix("op.")) {
                (0, Some(rest)) => Some(format!("down_blocks.{level}.downsamplers.0.conv.{rest}")),
                (0, None) => Some(format!("down_blocks.{level}.resnets.{place}.{}", replace_start(rest, &RESNET)?)),
                (1, _) => Some(format!("down_blocks.{level}.attentions.{place}.{}", attention(rest)?)),
                _ => None,
            };
        }
        let (block, slot, rest) = block_and_slot(key.strip_prefix("output_blocks.")?)?;
        let Position { level, place } = *self.output.get(block)?;
        match (slot, rest.strip_prefix("conv.")) {
            (1 | 2, Some(rest)) => Some(format!("up_blocks.{level}.upsamplers.0.conv.{rest}")),
            (0, None) => Some(format!("up_blocks.{level}.resnets.{place}.{}", replace_start(rest, &RESNET)?)),
            (1, None) => Some(format!("up_blocks.{level}.attentions.{place}.{}", attention(rest)?)),
            _ => None,
        }
    }
}

impl Layout {
    /// The way back: the key (without its prefix) for a diffusers name.
    pub fn file_key(&self, name: &str) -> Option<String> {
        if let Some(key) = replace_back(name, &OUTER) {
            return Some(key);
        }
        if let Some(rest) = name.strip_prefix("mid_block.") {
            let (kind, rest) = rest.split_once('.')?;
            let (place, rest) = rest.split_once('.')?;
            return match (kind, place) {
                ("resnets", "0") => Some(format!("middle_block.0.{}", replace_back(rest, &RESNET)?)),
                ("attentions", "0") => Some(format!("middle_block.1.{rest}")),
                ("resnets", "1") => Some(format!("middle_block.2.{}", replace_back(rest, &RESNET)?)),
                _ => None,
            };
        }
        let (direction, rest) = name.split_once("_blocks.")?;
        let (level, rest) = rest.split_once('.')?;
        let (kind, rest) = rest.split_once('.')?;
        let (place, rest) = rest.split_once('.')?;
        let level: usize = level.parse().ok()?;
        let place: usize = place.parse().ok()?;
        let (blocks, positions, first) = match direction {
            "down" => ("input_blocks", &self.input, 1),
            "up" => ("output_blocks", &self.output, 0),
            _ => return None,
        };
        let find = |found: &dyn Fn(&Position) -> bool| Some(positions.iter().rposition(found)? + first);
        let at = || find(&|position| position.level == level && position.place == place);
        match kind {
            "resnets" => Some(format!("{blocks}.{}.0.{}", at()?, replace_back(rest, &RESNET)?)),
            "attentions" => Some(format!("{blocks}.{}.1.{rest}", at()?)),
            "downsamplers" => {
                Some(format!("{blocks}.{}.0.op.{}", find(&|p| p.level == level)?, rest.strip_prefix("conv.")?))
            }
            "upsamplers" => {
                let block = find(&|position| position.level == level)?;
                let slot = if self.output_attention.contains(&block) { 2 } else { 1 };
                Some(format!("{blocks}.{block}.{slot}.{rest}"))
            }
            _ => None,
        }
    }
}

/// Names in order, to look for beginnings: a hostile file may have many, and ask for many.
struct Starts<'n>(BTreeSet<&'n str>);

impl<'n> Starts<'n> {
    fn of(names: &[&'n str]) -> Self {
        Self(names.iter().copied().collect())
    }

    /// Whether some name begins so.
    fn has(&self, start: &str) -> bool {
        let from = self.0.range::<str, _>((Bound::Included(start), Bound::Unbounded)).next();
        from.is_some_and(|name| name.starts_with(start))
    }
}

/// Where the block after `at` stands: a sampler ends its level.
fn after(at: Position, sampler: bool) -> Position {
    if sampler { Position { level: at.level + 1, place: 0 } } else { Position { place: at.place + 1, ..at } }
}

/// One more than the largest block number that follows `prefix`.
pub(super) fn count(keys: &[&str], prefix: &str) -> usize {
    let number = |key: &&str| key.strip_prefix(prefix)?.split('.').next()?.parse::<usize>().ok();
    // No real network has more; a hostile file may say so.
    const MOST: usize = 1000;
    keys.iter().filter_map(number).filter(|number| *number < MOST).max().map_or(0, |number| number + 1)
}

/// Splits "4.1.norm.weight" into (4, 1, "norm.weight").
fn block_and_slot(rest: &str) -> Option<(usize, usize, &str)> {
    let (block, rest) = rest.split_once('.')?;
    let (slot, rest) = rest.split_once('.')?;
    Some((block.parse().ok()?, slot.parse().ok()?, rest))
}

/// Inside a transformer both namings agree.
fn attention(rest: &str) -> Option<&str> {
    let known = ["norm.", "proj_in.", "proj_out.", "transformer_blocks."].iter().any(|start| rest.starts_with(start));
    if known { Some(rest) } else { None }
}

/// Replaces the layer that `key` begins with according to `table`.
pub(super) fn replace_start(key: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| {
        let rest = key.strip_prefix(from)?.strip_prefix('.')?;
        Some(format!("{to}.{rest}"))
    })
}

/// The way back of [`replace_start`].
pub(super) fn replace_back(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(to, from)| {
        let rest = name.strip_prefix(from)?.strip_prefix('.')?;
        Some(format!("{to}.{rest}"))
    })
}
