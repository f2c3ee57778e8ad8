//! A run within the memory that its GPU has free: what would not fit is computed again in the backward pass.
//!
//! Windows' drivers move to main memory what a card cannot hold, without a word, and a step then takes a hundred times as
//! long; so this is decided beforehand.

use anyhow::{Result, bail};
use burn::tensor::Device;
use lorabake_device::free_memory_of;
use lorabake_generate::sample::Request;
use lorabake_recipe::Recipe;
use lorabake_recipe::train::Recompute;
use lorabake_weights::Checkpoint;

use crate::estimate::MemoryReport;
use crate::estimate::memory::{MemoryModel, Weights};
use crate::event::{Emit, Event};

/// What a run's memory depends on beside its recipe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub checkpoint: &'a Checkpoint,
    /// How many values are trained.
    pub trained: u64,
    /// The pictures that are painted on the way.
    pub pictures: &'a [Request],
    pub device: &'a Device,
}

/// Turns gradient checkpointing on if the run would need more than the card of `device` has free, and tells that; tells
/// what the run needs then.
///
/// # Errors
/// As [`MemoryModel::of`], and if the card has not even room for the networks' weights.
pub(super) fn fit(recipe: &mut Recipe, run: Run<'_>, emit: &Emit<'_>) -> Result<()> {
    let free = free_memory_of(run.device);
    let model = MemoryModel::of(run.checkpoint, run.trained, &as_held(recipe), run.pictures)?;
    if let Some(note) = recompute_if_short(recipe, &model, free) {
        emit(Event::Note(note));
    }
    let held = as_held(recipe);
    if let Some(free) = free
        && let Some(reason) = too_large(&held, &model, free)
    {
        bail!(reason);
    }
    let savings = model.savings(&held, Weights::OnCard);
    emit(Event::Memory(MemoryReport { peak: model.memory(&held).peak(), available: free, savings }));
    Ok(())
}

/// The recipe with what a GPU makes of it, where all weights are on the card.
fn as_held(recipe: &Recipe) -> Recipe {
    let mut held = recipe.clone();
    held.train.swapped = 0;
    held
}

/// Why a run cannot begin whose weights alone take more than there is; unlike what a step takes, that is known exactly.
fn too_large(held: &Recipe, model: &MemoryModel, free: u64) -> Option<String> {
    let needed = model.memory(held).frozen;
    if needed <= free {
        return None;
    }
    let mut text = format!(
        "--device: the card has {:.1} GB free, and the networks alone take {:.1}; close what else uses it",
        gb(free),
        gb(needed)
    );
    for saving in model.savings(held, Weights::OnCard) {
        text += &format!(", or {} (takes {:.1} GB less)", saving.option, gb(saving.bytes));
    }
    Some(text + ", or train with --device cpu")
}

fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn recompute_if_short(recipe: &mut Recipe, model: &MemoryModel, free: Option<u64>) -> Option<String> {
    let free = free?;
    let needed = model.memory(&as_held(recipe)).peak();
    if needed <= free || recipe.train.recompute == Recompute::All {
        return None;
    }
    recipe.train.recompute = Recompute::All;
    let less = model.memory(&as_held(recipe)).peak();
    Some(format!(
        "gradient_checkpointing: it is turned on, since the run needs about {:.1} GB and the card has {:.1} free; with it \
         about {:.1}, and a step takes longer",
        gb(needed),
        gb(free),
        gb(less)
    ))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use lorabake_generate::open_model;
    use lorabake_recipe::parse_train;
    use lorabake_recipe::train::{Fp8, Precision};

    use super::*;

    #[test]
    fn what_does_not_fit_is_computed_again() {
        let options = ["--train_data_dir=set", "--output_dir=out", "--max_train_steps=1"].map(OsString::from);
        let mut recipe = parse_train(&options).unwrap().recipe;
        let checkpoint = open_model(&recipe.model).unwrap();
        let model = MemoryModel::of(&checkpoint, 1_000_000, &recipe, &[]).unwrap();
        let needed = model.memory(&recipe).peak();
        for plenty in [None, Some(needed), Some(u64::MAX)] {
            assert_eq!(recompute_if_short(&mut recipe, &model, plenty), None);
            assert_eq!(recipe.train.recompute, Recompute::No);
        }
        let note = recompute_if_short(&mut recipe, &model, Some(needed - 1)).unwrap();
        assert!(note.starts_with("gradient_checkpointing: it is turned on, since the run needs about "), "{note}");
        assert_eq!(recipe.train.recompute, Recompute::All);
        assert_eq!(recompute_if_short(&mut recipe, &model, Some(1)), None);
    }
    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let options = ["--train_data_dir=set", "--output_dir=out", "--max_train_steps=1"].map(OsString::from);
        let mut recipe = parse_train(&options).unwrap().recipe;
        let checkpoint = open_model(&recipe.model).unwrap();
        let model = MemoryModel::of(&checkpoint, 1_000_000, &recipe, &[]).unwrap();
        let weights = model.memory(&recipe).frozen;
        assert_eq!(too_large(&recipe, &model, weights), None);
        let reason = too_large(&recipe, &model, weights - 1).unwrap();
        assert!(reason.starts_with("--device: the card has "), "{reason}");
        assert!(reason.ends_with(", or train with --device cpu"), "{reason}");
        // In 8 bits they fit where they did not in 32.
        (recipe.train.precision, recipe.train.fp8) = (Precision::Bf16, Fp8::All);
        assert_eq!(too_large(&recipe, &model, weights - 1), None);
    }
}
