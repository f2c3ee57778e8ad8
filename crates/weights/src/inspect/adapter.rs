//! What a LoRA adapts, by which algorithm, with which ranks; from names and shapes, and its few alphas.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use super::block::BlockId;
use super::change::change;
use crate::file_kind::FileKind;
use crate::lora::peft::KohyaTensors;
use crate::tensors::Tensors;

/// What is known of a LoRA or one of its relatives.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AdapterReport {
    /// `kohya`, or `diffusers or PEFT`.
    pub naming: &'static str,
    /// The algorithms that its tensors show, most often one.
    pub algorithms: BTreeSet<&'static str>,
    /// Whether it decomposes weights (DoRA).
    pub dora: bool,
    /// Whether it has middle tensors (Tucker form).
    pub tucker: bool,
    /// Whether it adapts 3×3 convolutions.
    pub convolutions: bool,
    /// Number of modules in the UNet.
    pub unet_modules: usize,
    /// Number of modules in text encoders.
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
    /// The change of modules with these norms; `None` without modules.
    pub fn of(norms: &[f64]) -> Option<Self> {
        let mean = norms.iter().sum::<f64>() / norms.len() as f64;
        let whole = norms.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
        // Not f64::max, which would hide a value that is not a number.
        let largest = norms.iter().copied().reduce(|a, b| if a > b || a.is_nan() { a } else { b })?;
        Some(Self { modules: norms.len(), mean, largest, whole })
    }
}

/// The first factors of a product; the rows of each are as many as the rank.
const RANK_FIRST: [&str; 4] = ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"];
/// Middle tensors of the Tucker form.
const TUCKER: [&str; 3] = ["lora_mid.weight", "hada_t1", "lokr_t2"];
/// What the beginning of a tensor's name says of the algorithm.
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

/// One line of the table of blocks while it is filled.
#[derive(Default)]
struct BlockRow {
    report: BlockReport,
    /// Norms of the changes of its modules, where they were measured.
    norms: Vec<f64>,
}

/// Looks through the modules; `written` are the names as in the file. `measure` reads all of it for the size of changes.
pub(super) fn adapter(lora: &KohyaTensors, written: &[String], measure: bool) -> AdapterReport {
    let modules = tensors_by_module(&lora.tensors);
    let mut report = AdapterReport { naming: naming(written), ..AdapterReport::default() };
    if measure {
        report.changes = changes(lora, &modules);
    }
    let mut rows: BTreeMap<BlockId, BlockRow> = BTreeMap::new();
    for (module, suffixes) in &modules {
        report.note_form(&lora.tensors, module, suffixes);
        if module.starts_with("lora_te") {
            report.text_modules += 1;
        } else {
            report.unet_modules += 1;
        }
        let row = rows.entry(BlockId::of(module)).or_default();
        row.report.modules += 1;
        let rank = rank(&lora.tensors, module);
        row.report.ranks.extend(rank);
        if let Some(alpha) = alpha(lora, module) {
            row.report.alphas.insert(alpha.to_string());
        } else if rank.is_some() {
            row.report.alphas.insert("rank".to_string());
        }
        row.norms.extend(report.changes.get(*module));
    }
    if report.algorithms.is_empty() {
        // One for another family: its names are not taken apart.
        report.algorithms.insert(FileKind::Adapter.name());
    }
    for (block, row) in rows {
        let change = Change::of(&row.norms);
        report.blocks.push(BlockReport { name: block.to_string(), change, ..row.report });
    }
    report
}

/// The suffixes of the tensors that each module has.
fn tensors_by_module(tensors: &Tensors) -> BTreeMap<&str, Vec<&str>> {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in tensors.names().iter().filter(|name| is_kohya(name)) {
        if let Some((module, suffix)) = name.split_once('.') {
            modules.entry(module).or_default().push(suffix);
        }
    }
    modules
}

fn is_kohya(name: &str) -> bool {
    name.starts_with("lora_") || name.starts_with("lycoris_")
}

fn naming(written: &[String]) -> &'static str {
    if written.iter().any(|name| is_kohya(name)) { "kohya" } else { "diffusers or PEFT" }
}

impl AdapterReport {
    /// Notes which algorithm, and which variant of it, the tensors of a module show.
    fn note_form(&mut self, tensors: &Tensors, module: &str, suffixes: &[&str]) {
        for suffix in suffixes {
            for (start, algorithm) in ALGORITHMS {
                if suffix.starts_with(start) {
                    self.algorithms.insert(algorithm);
                }
            }
            if *suffix == "dora_scale" {
                self.dora = true;
            }
            if TUCKER.contains(suffix) {
                self.tucker = true;
            }
            if let Some([_, _, kernel, _]) = tensors.shape(&format!("{module}.{suffix}"))
                && *kernel > 1
            {
                self.convolutions = true;
            }
        }
    }
}

/// The norms of all changes that can be known without the model, by module.
fn changes(lora: &KohyaTensors, modules: &BTreeMap<&str, Vec<&str>>) -> BTreeMap<String, f64> {
    let norm = |module: &&str| {
        let scale = match (alpha(lora, module), rank(&lora.tensors, module)) {
            (Some(alpha), Some(rank)) if rank > 0 => f64::from(alpha) / rank as f64,
            _ => 1.0,
        };
        let norm = change(&lora.tensors, module, scale)?;
        Some((module.to_string(), norm))
    };
    let modules: Vec<&str> = modules.keys().copied().collect();
    modules.par_iter().filter_map(norm).collect()
}

fn rank(tensors: &Tensors, module: &str) -> Option<usize> {
    for suffix in RANK_FIRST {
        if let Some([rank, ..]) = tensors.shape(&format!("{module}.{suffix}")) {
            return Some(*rank);
        }
    }
    None
}

/// The alpha that the file or its settings have.
fn alpha(lora: &KohyaTensors, module: &str) -> Option<f32> {
    if let Ok(values) = lora.tensors.read_f32(&format!("{module}.alpha"))
        && let Some(alpha) = values.first()
    {
        return Some(*alpha);
    }
    lora.alphas.get(module).copied()
}
