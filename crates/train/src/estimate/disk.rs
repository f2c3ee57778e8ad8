//! How much a run will write into its output folder, and whether there is room for it.

use lorabake_data::epoch_order::Length;
use lorabake_recipe::output::{Every, SaveState};
use lorabake_recipe::{Note, Recipe};
use lorabake_weights::disk_room;

/// What is known of single files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes of the LoRA's file.
    pub lora: u64,
    /// Trainable numbers.
    pub parameters: u64,
}

/// What to tell if the output folder has less room than the run needs.
pub(crate) fn note(recipe: &Recipe, length: Length, sizes: Sizes) -> Option<Note> {
    let needed = planned(recipe, length, sizes);
    let dir = &recipe.output.dir;
    let free = disk_room::free(dir)?;
    if free >= needed {
        return None;
    }
    let text = format!(
        "this run writes about {} into {}, and {} are free there; make room, or keep fewer snapshots and states",
        amount(needed),
        dir.display(),
        amount(free)
    );
    Some(Note { option: "output_dir".to_owned(), text })
}

fn amount(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} GB", bytes as f64 / 1e9)
    }
}

/// Bytes that lie in the folder at the most.
fn planned(recipe: &Recipe, length: Length, sizes: Sizes) -> u64 {
    let output = &recipe.output;
    let ema = if recipe.optim.ema_decay.is_some() { 4.0 } else { 0.0 };
    let number = 4.0 + ema + recipe.optim.optimizer.state_bytes();
    let state = (sizes.parameters as f64 * number) as u64;
    let mut loras = 1;
    let mut states = u64::from(output.save_state != SaveState::Never);
    for every in &output.snapshots {
        let keep = output.keep;
        let (made, kept, kept_states) = match (every.in_epochs(length.epochs), *every) {
            (None, Every::Steps(n)) => {
                let within = |steps: Option<u64>| steps.map(|steps| steps / n + 1);
                (length.steps / n, within(keep.steps), within(keep.step_states.or(keep.steps)))
            }
            (distance, _) => {
                let made = length.epochs.saturating_sub(1) / distance.unwrap_or(1);
                (made, keep.epochs, keep.epoch_states.or(keep.epochs))
            }
        };
        // The new one is written before an old one goes.
        loras += kept.map_or(made, |kept| made.min(kept + 1));
        if output.save_state == SaveState::Always {
            states += kept_states.map_or(made, |kept| made.min(kept + 1));
        }
    }
    loras.saturating_mul(sizes.lora).saturating_add(states.saturating_mul(state))
}
