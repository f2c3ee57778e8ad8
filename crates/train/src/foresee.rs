//! What a run will be, before any of it: images, steps, schedule, memory, the file. Nothing is written; images and
//! checkpoint are opened as far as their headers, except where only the networks tell what an adapter will be.

use anyhow::Result;
use lorabake_data::bucket::Layout;
use lorabake_data::plan::{Length, Plan};
use lorabake_data::{report, scan};
use lorabake_model::{Bundle, Parts};
use lorabake_optim::lr;
use lorabake_recipe::adapter::Adapter;
use lorabake_recipe::blocks::Blocks;
use lorabake_recipe::network::{RankAlpha, Scope};
use lorabake_recipe::output::{Every, SavePrecision};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Parsed, Recipe};
use lorabake_weights::forecast::{LoraTensor, Memory, Sizes, file_bytes, lora_tensors};
use lorabake_weights::lora_file::{LoraFile, LoraModule};
use lorabake_weights::metadata::{self, ModelHashes};

use crate::network::Network;
use crate::save;
use crate::session::{open_checkpoint, storage};

/// A run as it will be.
#[derive(Debug, Clone)]
pub struct Foresight {
    /// The recipe, with rank and alpha as they really are.
    pub recipe: Recipe,
    /// What was found in the image folders and how many steps it makes, as text of many lines.
    pub found: String,
    /// Batches, epochs and steps.
    pub length: Length,
    /// What the rates are multiplied with, from the first step to the last.
    pub curve: Vec<f64>,
    /// Layers that get a LoRA.
    pub modules: usize,
    /// Trainable numbers.
    pub parameters: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Files that are written: snapshots and the last.
    pub files: u64,
    /// Memory in bytes.
    pub memory: Memory,
}

/// Looks ahead; the curve has at most `points` values.
///
/// # Errors
/// Whatever would end the run before its first step, as far as headers tell.
pub fn foresee(parsed: &Parsed, points: usize) -> Result<Foresight> {
    let mut recipe = parsed.recipe.clone();
    let dataset = scan(&recipe.data)?;
    let layout = Layout::new(&dataset, &recipe.data)?;
    let plan = Plan::new(&dataset, &layout, &recipe.data, Seed(recipe.train.seed));
    let length = Length::new(plan.batches_per_epoch(), recipe.train.accumulation, recipe.train.duration);
    let optim = &recipe.optim;
    lr::check(&optim.schedule, optim.learning_rate, length.steps)?;
    let curve = lr::curve(&optim.schedule, optim.learning_rate, length.steps, points);
    let found = report::report(&dataset, &layout, &plan, &recipe.data, (length, recipe.train.duration));

    let checkpoint = open_checkpoint(&recipe.model.checkpoint)?;
    let tensors = match &recipe.network.weights {
        Some(path) if recipe.network.dim_from_weights => {
            let (tensors, size) = tensors_of(&LoraFile::open(path)?, recipe.network.scope);
            recipe.network.linear = size.unwrap_or(recipe.network.linear);
            tensors
        }
        _ if recipe.network.adapter != Adapter::Lora || recipe.network.blocks != Blocks::default() => {
            // Which layers and sizes these have is decided on the networks themselves.
            let bundle = Bundle::load(&checkpoint, Parts::Training, storage(recipe.train.precision))?;
            let network = Network::fresh(&recipe.network, &bundle, Seed(0));
            network.tensors().into_iter().map(|(key, shape, _)| (key, shape)).collect()
        }
        _ => {
            let shape = |name| checkpoint.shape(name).unwrap_or_default();
            let keys: Vec<(&str, &[usize])> =
                checkpoint.names().iter().map(|name| (name.as_str(), shape(name))).collect();
            lora_tensors(&keys, &recipe.network)
        }
    };
    let factors = tensors.iter().filter(|(_, shape)| !shape.is_empty());
    let parameters = factors.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();

    let mut facts = save::run_facts(parsed, &recipe, (&dataset, &layout), length)?;
    (facts.steps, facts.epoch) = (length.steps, length.epochs);
    // Hashes have one length, whatever they are.
    facts.model_hashes = Some(ModelHashes { legacy: "0".repeat(8), sha256: "0".repeat(64) });
    let precision = recipe.output.save_precision.unwrap_or(SavePrecision::F32);
    let file_bytes = file_bytes(&tensors, precision, &metadata::build(&recipe, &facts));
    let run = (&recipe.optim.optimizer, recipe.train.precision);
    let memory = Memory::of(Sizes::of(&checkpoint), parameters, &recipe.data, run);
    let modules = tensors.iter().filter(|(_, shape)| shape.is_empty()).count();
    let files = files(&recipe, length);
    Ok(Foresight { recipe, found, length, curve, modules, parameters, file_bytes, files, memory })
}

/// The tensors of a LoRA file for the parts that are trained, and the size of its first module.
fn tensors_of(file: &LoraFile, scope: Scope) -> (Vec<LoraTensor>, Option<RankAlpha>) {
    let left_alone = match scope {
        Scope::Both => None,
        Scope::UnetOnly => Some("lora_te_"),
        Scope::TextEncoderOnly => Some("lora_unet_"),
    };
    let kept = || file.modules.iter().filter(|module| left_alone.is_none_or(|part| !module.name.starts_with(part)));
    let tensors = kept().flat_map(|module| {
        let own = module.tensors.iter();
        let own = own.map(|(leaf, tensor)| (format!("{}.{leaf}", module.name), tensor.shape.clone()));
        std::iter::once((format!("{}.alpha", module.name), Vec::new())).chain(own)
    });
    let rank = |module: &LoraModule| module.tensors.get("lora_down.weight").map(|down| down.shape[0]);
    let size = kept().find_map(|module| Some(RankAlpha { rank: rank(module)?, alpha: f64::from(module.alpha) }));
    (tensors.collect(), size)
}

/// Snapshots and the last file; a snapshot after the last epoch is the last file itself.
fn files(recipe: &Recipe, length: Length) -> u64 {
    let of = |every: &Every| match (every.in_epochs(length.epochs), *every) {
        (None, Every::Steps(n)) => length.steps / n,
        (distance, _) => length.epochs.saturating_sub(1) / distance.unwrap_or(1),
    };
    recipe.output.snapshots.iter().map(of).sum::<u64>() + 1
}
