//! What a run will be, before any of it: images, steps, schedule, memory, the file. Nothing stays that is written to try
//! names out; images and checkpoint are opened as far as their headers, and networks are built only where sizes don't
//! follow from those, or there are a LoRA or a state that have to fit.

use std::cell::RefCell;

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{DatasetReport, scan};
use lorabake_generate::open_model;
use lorabake_lora::LoraNetwork;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_optim::lr;
use lorabake_recipe::output::{Every, SavePrecision};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Note, Parsed, RawRecipe, Recipe};
use lorabake_weights::Checkpoint;
use lorabake_weights::lora_size::{LoraTensor, file_bytes, lora_tensors};
use lorabake_weights::metadata::{self, ModelHashes};

use super::disk;
use super::memory::{MemoryModel, Saving, Weights};
use super::memory_model::Memory;
use crate::event::{Emit, Event};
use crate::output::claim::replaced_state;
use crate::output::names;
use crate::output::save::{self, RunData};
use crate::output::state::{self, Saved};
use crate::precision::training_dtypes;
use crate::run::resume::{Resuming, check_position, with_seed_of};
use crate::session::{idle_judging, long_warmup, make_network, settled};
use crate::update::Updater;
use crate::update::ema::Ema;
use crate::update::groups::Groups;
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
    plan(parsed, points, None)
}

/// Plans a stage that goes on from the LoRA of the one `before` it, which is not there yet.
///
/// # Errors
/// As [`plan_run`].
pub(crate) fn plan_after(before: &RunPlan, parsed: &Parsed, points: usize) -> Result<RunPlan> {
    plan(parsed, points, Some(&before.recipe))
}

fn plan(parsed: &Parsed, points: usize, before: Option<&Recipe>) -> Result<RunPlan> {
    let checkpoint = open_model(&parsed.recipe.model)?;
    let saved = parsed.recipe.output.resume.as_deref().map(state::load).transpose()?;
    let parsed = &with_seed_of(parsed, saved.as_ref())?;
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
    notes.extend(idle_judging(&recipe, length.epochs));
    let report = DatasetReport::new(&dataset, &layout, &order, &recipe.data, recipe.train.duration, length);

    let pictures = sample_pictures::requests(&recipe, &|_| {})?;
    names::try_all(&recipe, length, &pictures)?;
    let mut file_notes = checkpoint.notes();
    file_notes.extend(names::earlier_files(&recipe, length));
    file_notes.extend(replaced_state(&recipe.output));
    let told = RefCell::new(Vec::new());
    let emit = |event| told.borrow_mut().push(event);
    let mut tensors = match (saved, before) {
        (Some(saved), _) => {
            check_position(Resuming { recipe: &recipe, dataset: &dataset, length }, &saved.position, &emit)?;
            resumed_tensors(&mut recipe, &checkpoint, saved, &emit)?
        }
        (None, Some(before)) => tensors_after(before, &mut recipe, &checkpoint)?,
        (None, None) => trained_tensors(&mut recipe, &checkpoint, &emit)?,
    };
    for event in told.into_inner() {
        if let Event::Note(note) = event {
            file_notes.push(note);
        }
    }
    leave_out_idle(&mut tensors, &recipe);
    let data = RunData { dataset: &dataset, layout: &layout, length };
    let lora = size(&tensors, parsed, &recipe, data)?;
    let model = MemoryModel::of(&checkpoint, lora.parameters, &recipe, &pictures)?;
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
        savings: model.savings(&recipe, Weights::InMemory),
        recipe,
    })
}

/// Leaves out what has a learning rate of 0.
fn leave_out_idle(tensors: &mut Vec<LoraTensor>, recipe: &Recipe) {
    if recipe.optim.text_encoder_lr == 0.0 {
        tensors.retain(|(name, _)| !name.starts_with("lora_te1_"));
    }
    if recipe.optim.text_encoder2_lr == 0.0 {
        tensors.retain(|(name, _)| !name.starts_with("lora_te2_"));
    }
}

/// The tensors of the LoRA that the recipe asks for; with `--dim_from_weights` the recipe gets the rank of that file.
fn trained_tensors(recipe: &mut Recipe, checkpoint: &Checkpoint, emit: &Emit<'_>) -> Result<Vec<LoraTensor>> {
    if recipe.network.weights.is_none() && is_plain(recipe) {
        let mut keys: Vec<(&str, &[usize])> = Vec::new();
        for name in checkpoint.names() {
            keys.push((name, checkpoint.shape(name).unwrap_or_default()));
        }
        return Ok(lora_tensors(&keys, &recipe.network));
    }
    let bundle = open_bundle(recipe, checkpoint)?;
    let network = make_network(recipe, &bundle, Seed(recipe.train.seed), emit)?;
    Ok(tensors_of(&network))
}

/// The same for a run that goes on from a state, which has to fit.
fn resumed_tensors(
    recipe: &mut Recipe,
    checkpoint: &Checkpoint,
    saved: Saved,
    emit: &Emit<'_>,
) -> Result<Vec<LoraTensor>> {
    let bundle = open_bundle(recipe, checkpoint)?;
    let mut network = make_network(recipe, &bundle, Seed(recipe.train.seed), emit)?;
    let mut updater = Updater::new(recipe, Groups::new(&network, recipe, &bundle));
    let mut ema = recipe.optim.ema_decay.map(|decay| Ema::new(&network, decay));
    saved.restore(&mut network, &mut updater, ema.as_mut())?;
    Ok(tensors_of(&network))
}

/// The same for a run that begins with what the run `before` it will have saved.
fn tensors_after(before: &Recipe, recipe: &mut Recipe, checkpoint: &Checkpoint) -> Result<Vec<LoraTensor>> {
    if recipe.network.dim_from_weights {
        recipe.network.linear = before.network.linear;
        recipe.network.conv = before.network.conv;
    }
    let mut fresh = recipe.clone();
    fresh.network.weights = None;
    trained_tensors(&mut fresh, checkpoint, &|_| ())
}

fn open_bundle(recipe: &Recipe, checkpoint: &Checkpoint) -> Result<Bundle> {
    Ok(Bundle::open(checkpoint, VaeHalves::Training, training_dtypes(&recipe.train, &Device::flex()))?)
}

fn tensors_of(network: &LoraNetwork) -> Vec<LoraTensor> {
    network.tensors().into_iter().map(|tensor| (tensor.name, tensor.shape)).collect()
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

/// Snapshots and the last file; a snapshot after the last epoch is the last file itself.
fn files(recipe: &Recipe, length: Length) -> u64 {
    let of = |every: &Every| match (every.in_epochs(length.epochs), *every) {
        (None, Every::Steps(n)) => length.steps / n,
        (distance, _) => length.epochs.saturating_sub(1) / distance.unwrap_or(1),
    };
    recipe.output.snapshots.iter().map(of).sum::<u64>() + 1
}
