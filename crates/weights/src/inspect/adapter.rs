//! What a LoRA adapts, by which algorithm, with which ranks; from names and shapes, and its few alphas.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use super::change::change;
use crate::lora::peft::KohyaTensors;
use crate::tensors::Tensors;

/// What is known of a LoRA or one of its relatives.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AdapterReport {
    /// `kohya`, or `diffusers or PEFT`.
    pub naming: &'static str,
    /// The algorithms that its tensors show, most often one.
    pub algorithms: BTreeSet<&'static str>,
    /// It decomposes weights (DoRA).
    pub dora: bool,
    /// It has a middle tensor (Tucker form).
    pub tucker: bool,
    /// It adapts 3×3 convolutions.
    pub convolutions: bool,
    /// Number of modules in the UNet and in text encoders.
    pub unet_modules: usize,
    /// See `unet_modules`.
    pub text_modules: usize,
    /// The blocks that it adapts, in order.
    pub blocks: Vec<BlockReport>,
    /// Frobenius norm of what each module adds to its weight; only modules of which it is known without the model.
    pub changes: BTreeMap<String, f64>,
}

/// One block of the UNet, or a text encoder.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BlockReport {
    /// `IN00` to `OUT11`, `M00`, `TE`, `TE2`, or `other`.
    pub name: String,
    /// Modules in it.
    pub modules: usize,
    /// Ranks that occur.
    pub ranks: BTreeSet<usize>,
    /// Alphas that occur, as text.
    pub alphas: BTreeSet<String>,
    /// How much it changes, if that was measured.
    pub change: Option<Change>,
}

/// How much the modules of a block change their weights, in Frobenius norms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Change {
    /// Modules of which it is known.
    pub modules: usize,
    /// Mean over them.
    pub mean: f64,
    /// The largest.
    pub largest: f64,
    /// All of them as one change: the root of the sum of squares.
    pub whole: f64,
}

impl Change {
    /// Of modules with these norms; none of no modules.
    pub fn of(norms: &[f64]) -> Option<Self> {
        let mean = norms.iter().sum::<f64>() / norms.len() as f64;
        let whole = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        // Not f64::max, which would hide a value that is not a number.
        let largest = norms.iter().copied().reduce(|a, b| if a > b || a.is_nan() { a } else { b })?;
        Some(Self { modules: norms.len(), mean, largest, whole })
    }
}

/// Tensors whose first axis, or last for the second list, is the rank.
const RANK_FIRST: [&str; 4] = ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"];
/// What the beginning of a tensor's name tells of the algorithm.
const ALGORITHMS: [(&str, &str); 14] = [
    ("lora_", "LoRA"),
    ("hada_", "LoHa"),
    ("lokr_", "LoKr"),
    ("on_input", "IA3"),
    ("oft_", "OFT"),
    ("a1.", "GLoRA"),
    ("a2.", "GLoRA"),
    ("b1.", "GLoRA"),
    ("b2.", "GLoRA"),
    ("bm.", "GLoRA"),
    ("diff", "full difference"),
    ("w_norm", "norms"),
    ("b_norm", "norms"),
    ("set_weight", "whole weights"),
];

/// Looks through the modules; `written` are the names as in the file. `measure` reads all of it for the size of changes.
pub(super) fn adapter(named: &KohyaTensors, written: &[String], measure: bool) -> AdapterReport {
    let tensors = &named.tensors;
    let kohya = written.iter().any(|name| name.starts_with("lora_") || name.starts_with("lycoris_"));
    let mut found =
        AdapterReport { naming: if kohya { "kohya" } else { "diffusers or PEFT" }, ..AdapterReport::default() };
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let kohyas = tensors.names().iter().filter(|name| name.starts_with("lora_") || name.starts_with("lycoris_"));
    for (module, tensor) in kohyas.filter_map(|name| name.split_once('.')) {
        modules.entry(module).or_default().push(tensor);
    }
    if measure {
        found.changes = changes(named, &modules.keys().copied().collect::<Vec<_>>());
    }
    let mut blocks: BTreeMap<(usize, String), (BlockReport, Vec<f64>)> = BTreeMap::new();
    for (module, own) in modules {
        let kinds = ALGORITHMS.iter().filter(|(start, _)| own.iter().any(|tensor| tensor.starts_with(start)));
        found.algorithms.extend(kinds.map(|(_, name)| *name));
        found.dora |= own.contains(&"dora_scale");
        found.tucker |= own.iter().any(|tensor| ["lora_mid.weight", "hada_t1", "lokr_t2"].contains(tensor));
        let wide = |tensor: &&str| matches!(tensors.shape(&format!("{module}.{tensor}")), Some([_, _, kernel, _]) if *kernel > 1);
        found.convolutions |= own.iter().any(wide);
        *(if module.starts_with("lora_te") { &mut found.text_modules } else { &mut found.unet_modules }) += 1;
        let place = block(module);
        let (block, norms) = blocks.entry(place.clone()).or_default();
        block.name = place.1;
        block.modules += 1;
        block.ranks.extend(rank(tensors, module));
        let alpha = alpha(named, module).map(|alpha| alpha.to_string());
        block.alphas.extend(alpha.or_else(|| rank(tensors, module).map(|_| "rank".to_string())));
        norms.extend(found.changes.get(module));
    }
    let measured = |(block, norms): (BlockReport, Vec<f64>)| BlockReport { change: Change::of(&norms), ..block };
    found.blocks = blocks.into_values().map(measured).collect();
    found
}

fn changes(named: &KohyaTensors, modules: &[&str]) -> BTreeMap<String, f64> {
    let change = |module: &&str| {
        let rank = rank(&named.tensors, module).filter(|rank| *rank > 0);
        let scale = alpha(named, module).zip(rank).map_or(1.0, |(alpha, rank)| f64::from(alpha) / rank as f64);
        Some((module.to_string(), change(&named.tensors, module, scale)?))
    };
    modules.par_iter().filter_map(change).collect()
}

fn rank(tensors: &Tensors, module: &str) -> Option<usize> {
    RANK_FIRST.iter().find_map(|tensor| tensors.shape(&format!("{module}.{tensor}"))?.first().copied())
}

/// The alpha that the file or its settings tell.
fn alpha(named: &KohyaTensors, module: &str) -> Option<f32> {
    let own = named.tensors.read_f32(&format!("{module}.alpha")).ok().and_then(|values| values.first().copied());
    own.or_else(|| named.alphas.get(module).copied())
}

/// The block of a module, with its place in the table. Numbers are those of the original UNet, in which a level of
/// Stable Diffusion has three blocks.
fn block(module: &str) -> (usize, String) {
    let named = |place: usize, name: &str| (place, name.to_string());
    if module.starts_with("lora_te2_") {
        return named(1, "TE2");
    }
    if module.starts_with("lora_te") {
        return named(0, "TE");
    }
    let path = module.trim_start_matches("lora_unet_").trim_start_matches("lycoris_");
    let input = |n: usize| (10 + n, format!("IN{n:02}"));
    let output = |n: usize| (100 + n, format!("OUT{n:02}"));
    let numbers = |rest: &str| -> Vec<usize> { rest.split('_').filter_map(|word| word.parse().ok()).collect() };
    let within = |rest: &str, sampler: usize| match numbers(rest)[..] {
        [level, _, ..] if rest.contains("samplers_") => Some(level * 3 + sampler),
        [level, place, ..] => Some(level * 3 + place),
        _ => None,
    };
    let found = if let Some(rest) = path.strip_prefix("input_blocks_") {
        numbers(rest).first().map(|n| input(*n))
    } else if let Some(rest) = path.strip_prefix("output_blocks_") {
        numbers(rest).first().map(|n| output(*n))
    } else if let Some(rest) = path.strip_prefix("down_blocks_") {
        within(rest, 2).map(|n| input(n + 1))
    } else if let Some(rest) = path.strip_prefix("up_blocks_") {
        within(rest, 2).map(output)
    } else if path.starts_with("mid") {
        Some(named(50, "M00"))
    } else if path.starts_with("conv_in") {
        Some(input(0))
    } else {
        None
    };
    found.unwrap_or_else(|| named(1000, "other"))
}
