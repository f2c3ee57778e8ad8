//! What a run will be, before any of it: images, steps, schedule, memory, the file. Nothing is written; images and
//! checkpoint are opened as far as their headers, and the networks are built only where sizes don't follow from those.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{DatasetReport, scan};
use lorabake_generate::open_model;
use lorabake_lora::LoraNetwork;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_optim::lr;
use lorabake_recipe::network::{RankAlpha, Scope};
use lorabake_recipe::output::{Every, SavePrecision};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Note, Parsed, RawRecipe, Recipe};
use lorabake_weights::Checkpoint;
use lorabake_weights::lora;
use lorabake_weights::lora_size::{LoraTensor, file_bytes, lora_tensors};
use lorabake_weights::metadata::{self, ModelHashes};
use lorabake_weights::tensors::Tensors;

use super::disk;
use super::memory::{MemoryModel, Saving};
use super::memory_model::Memory;
use crate::output::save::{self, RunData};
use crate::precision::training_dtypes;
use crate::session::{long_warmup, refuse_beyond_memory, settled};
use crate::watch::sample_pictures;

/// A run as it will be.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// The recipe, with rank and alpha as they really are.
    pub recipe: Recipe,
    /// What the user should know beyond what the options told.
    pub notes: Vec<Note>,
    /// What is to know of the checkpoint and of the LoRA to begin with.
    pub file_notes: Vec<String>,
    /// What was found in the image folders and how many steps it makes.
    pub dataset: DatasetReport,
    /// Batches, epochs and steps.
    pub length: Length,
    /// What the rates are multiplied with, from the first step to the last.
    pub curve: Vec<f64>,
    /// The LoRA itself.
    pub lora: LoraSize,
    /// Files that are written: snapshots and the last.
    pub files: u64,
    /// Memory in bytes.
    pub memory: Memory,
    /// What would make that less.
    pub savings: Vec<Saving>,
}

/// How large a LoRA will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoraSize {
    /// Layers that it adapts.
    pub modules: usize,
    /// Trainable numbers.
    pub parameters: u64,
    /// Bytes of its file.
    pub bytes: u64,
}

/// Plans a run; the curve has at most `points` values.
///
/// # Errors
/// Whatever would end the run before its first step, as far as headers tell.
pub fn plan_run(parsed: &Parsed, points: usize) -> Result<RunPlan> {
    let checkpoint = open_model(&parsed.recipe.model)?;
    let settled = settled(parsed, &checkpoint)?;
    let mut recipe = settled.recipe.clone();
    let dataset = scan(&recipe.data)?;
    let layout = Layout::new(&dataset, &recipe.data)?;
    let order = EpochOrder::new(&dataset, &layout, &recipe.data, Seed(recipe.train.seed));
    let length = Length::new(order.batches_per_epoch(), recipe.train.accumulation, recipe.train.duration);
    let optim = &recipe.optim;
    lr::check(&optim.schedule, optim.learning_rate, length.steps)?;
    let curve = lr::curve(&optim.schedule, optim.learning_rate, length.steps, points);
    let mut notes = settled.notes.clone();
    notes.extend(long_warmup(&optim.schedule, length.steps));
    let report = DatasetReport::new(&dataset, &layout, &order, &recipe.data, recipe.train.duration, length);

    let mut tensors = trained_tensors(&mut recipe, &checkpoint)?;
    if recipe.optim.text_encoder_lr == 0.0 {
        tensors.retain(|(name, _)| !name.starts_with("lora_te1_"));
    }
    if recipe.optim.text_encoder2_lr == 0.0 {
        tensors.retain(|(name, _)| !name.starts_with("lora_te2_"));
    }
    let data = RunData { dataset: &dataset, layout: &layout, length };
    let lora = size(&tensors, parsed, &recipe, data)?;
    let pictures = sample_pictures::requests(&recipe, &|_| {})?;
    let model = MemoryModel::of(&checkpoint, lora.parameters, &recipe, &pictures)?;
    let mut file_notes = checkpoint.notes();
    if let Some(path) = &recipe.network.weights {
        file_notes.extend(lora::note(path)?);
    }
    let sizes = disk::Sizes { lora: lora.bytes, parameters: lora.parameters };
    notes.extend(disk::note(&recipe, length, sizes));
    Ok(RunPlan {
        notes,
        file_notes,
        dataset: report,
        length,
        curve,
        lora,
        files: files(&recipe, length),
        memory: model.memory(&recipe),
        savings: model.savings(&recipe),
        recipe,
    })
}

/// The tensors of the LoRA that the recipe asks for; with `--dim_from_weights` the recipe gets the rank of that file.
fn trained_tensors(recipe: &mut Recipe, checkpoint: &Checkpoint) -> Result<Vec<LoraTensor>> {
    if let Some(path) = &recipe.network.weights
        && recipe.network.dim_from_weights
    {
        let (tensors, size) = tensors_of(&lora::tensors(path)?, recipe.network.scope);
        recipe.network.linear = size.unwrap_or(recipe.network.linear);
        return Ok(tensors);
    }
    if is_plain(recipe) {
        let mut keys: Vec<(&str, &[usize])> = Vec::new();
        for name in checkpoint.names() {
            keys.push((name, checkpoint.shape(name).unwrap_or_default()));
        }
        return Ok(lora_tensors(&keys, &recipe.network));
    }
    let dtypes = training_dtypes(&recipe.train, &Device::flex());
    let bundle = Bundle::open(checkpoint, VaeHalves::Training, dtypes)?;
    refuse_beyond_memory(recipe, &bundle)?;
    let network = LoraNetwork::fresh(&recipe.network, &bundle, Seed(recipe.train.seed));
    Ok(network.tensors().into_iter().map(|tensor| (tensor.name, tensor.shape)).collect())
}

/// Whether the LoRA's tensors follow from one rank and the layers alone.
fn is_plain(recipe: &Recipe) -> bool {
    let module = RawRecipe::from(recipe).network.network_module;
    module.as_deref() == Some("networks.lora") && !recipe.network.blocks.change_sizes()
}

/// The size of the LoRA with these tensors and the metadata that this run would write.
fn size(tensors: &[LoraTensor], parsed: &Parsed, recipe: &Recipe, data: RunData<'_>) -> Result<LoraSize> {
    let mut facts = save::run_facts(parsed, recipe, data)?;
    facts.steps = data.length.steps;
    facts.epoch = data.length.epochs;
    // Hashes have one length, whatever they are.
    let hashes = ModelHashes { legacy: "0".repeat(8), sha256: "0".repeat(64) };
    if let Some((_, own)) = &mut facts.vae {
        *own = Some(hashes.clone());
    }
    facts.model_hashes = Some(hashes);
    let precision = recipe.output.save_precision.unwrap_or(SavePrecision::F32);
    let (scalars, factors): (Vec<_>, Vec<_>) = tensors.iter().partition(|(_, shape)| shape.is_empty());
    Ok(LoraSize {
        modules: scalars.len(),
        parameters: factors.iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum(),
        bytes: file_bytes(tensors, precision, &metadata::build(recipe, &facts)),
    })
}

/// The tensors of a LoRA file for the parts that are trained, and the rank and alpha of its first module.
fn tensors_of(file: &Tensors, scope: Scope) -> (Vec<LoraTensor>, Option<RankAlpha>) {
    let left_alone = match scope {
        Scope::Both => None,
        Scope::UnetOnly => Some("lora_te"),
        Scope::TextEncoderOnly => Some("lora_unet_"),
    };
    let mut names = file.names().to_vec();
    names.retain(|name| name.starts_with("lora_") && left_alone.is_none_or(|part| !name.starts_with(part)));
    let first = names.iter().find_map(|name| name.strip_suffix(".lora_down.weight"));
    let size = first.and_then(|module| {
        let rank = *file.shape(&format!("{module}.lora_down.weight"))?.first()?;
        let alpha = file.read_f32(&format!("{module}.alpha")).ok()?.first().map(|alpha| f64::from(*alpha));
        Some(RankAlpha { rank, alpha: alpha.unwrap_or(rank as f64) })
    });
    let shape = |name: &String| file.shape(name).unwrap_or_default().to_vec();
    let mut tensors: Vec<LoraTensor> = names.iter().map(|name| (name.clone(), shape(name))).collect();
    // Files of diffusers have no alphas; the result has.
    let modules = names.iter().filter_map(|name| name.strip_suffix(".lora_down.weight"));
    let alphas = modules.map(|module| format!("{module}.alpha")).filter(|alpha| file.shape(alpha).is_none());
    tensors.extend(alphas.map(|alpha| (alpha, Vec::new())));
    (tensors, size)
}

/// Snapshots and the last file; a snapshot after the last epoch is the last file itself.
fn files(recipe: &Recipe, length: Length) -> u64 {
    let of = |every: &Every| match (every.in_epochs(length.epochs), *every) {
        (None, Every::Steps(n)) => length.steps / n,
        (distance, _) => length.epochs.saturating_sub(1) / distance.unwrap_or(1),
    };
    recipe.output.snapshots.iter().map(of).sum::<u64>() + 1
}
