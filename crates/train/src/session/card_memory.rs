//! A run within the memory that its GPU has free: what would not fit is computed again in the backward pass.
//!
//! Windows' drivers move to main memory what a card cannot hold, without a word, and a step then takes a hundred times as
//! long; so this is decided beforehand.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_device::free_memory_of;
use lorabake_generate::sample::Request;
use lorabake_recipe::Recipe;
use lorabake_recipe::train::{Fp8, Recompute};
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
/// As [`MemoryModel::of`].
pub(super) fn fit(recipe: &mut Recipe, run: Run<'_>, emit: &Emit<'_>) -> Result<()> {
    let free = free_memory_of(run.device);
    let model = MemoryModel::of(run.checkpoint, run.trained, &as_held(recipe), run.pictures)?;
    if let Some(note) = recompute_if_short(recipe, &model, free) {
        emit(Event::Note(note));
    }
    let held = as_held(recipe);
    let savings = model.savings(&held, Weights::OnCard);
    emit(Event::Memory(MemoryReport { peak: model.memory(&held).peak(), available: free, savings }));
    Ok(())
}

/// The recipe with what a GPU makes of it, which holds all weights in 16 bits.
fn as_held(recipe: &Recipe) -> Recipe {
    let mut held = recipe.clone();
    held.train.fp8 = Fp8::No;
    held.train.swapped = 0;
    held
}

fn recompute_if_short(recipe: &mut Recipe, model: &MemoryModel, free: Option<u64>) -> Option<String> {
    let free = free?;
    let needed = model.memory(&as_held(recipe)).peak();
    if needed <= free || recipe.train.recompute == Recompute::All {
        return None;
    }
    recipe.train.recompute = Recompute::All;
    let less = model.memory(&as_held(recipe)).peak();
    let gb = |bytes: u64| bytes as f64 / 1e9;
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
        // It is held in 16 bits there.
        recipe.train.fp8 = Fp8::All;
        assert_eq!(recompute_if_short(&mut recipe, &model, Some(needed)), None);
        let note = recompute_if_short(&mut recipe, &model, Some(needed - 1)).unwrap();
        assert!(note.starts_with("gradient_checkpointing: it is turned on, since the run needs about "), "{note}");
        assert_eq!(recipe.train.recompute, Recompute::All);
        assert_eq!(recompute_if_short(&mut recipe, &model, Some(1)), None);
    }
}
