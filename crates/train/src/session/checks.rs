//! What is refused, or worth a note, before anything is computed.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use lorabake_data::{Dataset, Item, caption};
use lorabake_device::{Opened, is_host};
use lorabake_model::Bundle;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_optim::lr;
use lorabake_recipe::optim::{Schedule, ScheduleKind};
use lorabake_recipe::train::{Fp8, Train};
use lorabake_recipe::{CheckpointFacts, Note, Parsed, Recipe, count};
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Prediction;

use crate::cache::weighted_ids;
use crate::event::{Emit, Event};

/// The recipe, now that its checkpoint is open.
///
/// # Errors
/// Options that do not go together with it.
pub fn settled(parsed: &Parsed, checkpoint: &Checkpoint) -> Result<Parsed> {
    let (velocity, zero_terminal_snr) = match checkpoint.prediction() {
        None => (None, false),
        Some(Prediction::Epsilon) => (Some(false), false),
        Some(Prediction::V { zero_terminal_snr }) => (Some(true), zero_terminal_snr),
    };
    let settled = parsed.with(CheckpointFacts { family: checkpoint.family(), velocity, zero_terminal_snr });
    settled.with_context(|| checkpoint.label().to_owned())
}

/// A note about a warmup that lasts as long as the run.
pub fn long_warmup(schedule: &Schedule, steps: u64) -> Option<Note> {
    let has_warmup = !matches!(schedule.kind, ScheduleKind::Constant | ScheduleKind::AdaFactor);
    let warmup = lr::warmup_steps(schedule.warmup, steps);
    if !has_warmup || warmup == 0 || warmup < steps {
        return None;
    }
    let text = format!(
        "{warmup} steps of warmup are not less than the {steps} of the run, so the learning rate never gets to its full \
         height; give for instance 0.1, a share of all steps"
    );
    Some(Note { option: "lr_warmup_steps".to_owned(), text })
}

/// A note about judging that a run of so many epochs never comes to.
pub fn idle_judging(recipe: &Recipe, epochs: u64) -> Option<Note> {
    let judging = recipe.judging?;
    let times = epochs / judging.every_epochs;
    if times == 0 {
        let text = format!("has no effect: the run has {}", count(epochs, "epoch"));
        return Some(Note { option: "judge_every_n_epochs".to_owned(), text });
    }
    let wanted = judging.stop_when_overcooked.filter(|wanted| *wanted > times)?;
    let text = format!("{wanted} has no effect: the run is judged {} only", count(times, "time"));
    Some(Note { option: "stop_when_overcooked".to_owned(), text })
}

/// Opens the device that is asked for, and tells what there is to tell of it.
pub(super) fn choose_device(train: &Train, emit: &Emit<'_>) -> Result<Device> {
    let Opened { device, notes } = lorabake_device::open(train.device)?;
    notes.into_iter().chain(idle(train, &device)).for_each(|note| emit(Event::Note(note)));
    Ok(device)
}

/// Notes about options that save memory on the processor and nothing on a GPU.
fn idle(train: &Train, device: &Device) -> Vec<String> {
    let given = [("blocks_to_swap", train.swapped > 0), ("fp8_base", train.fp8 != Fp8::No)];
    let idle = given.into_iter().filter(|(_, given)| *given && !is_host(device));
    idle.map(|(option, _)| format!("{option}: saves nothing on a GPU, which gets all weights once, in 16 bits"))
        .collect()
}

pub(super) fn refuse_misfits(recipe: &Recipe, bundle: &Bundle) -> Result<()> {
    let depth = bundle.texts[0].depth();
    if recipe.model.clip_skip as usize > depth {
        bail!(
            "--clip_skip {}: this checkpoint's text encoder has {depth} layers; use 1 to {depth}",
            recipe.model.clip_skip
        );
    }
    Ok(())
}

/// A note about captions that are longer than the text encoder reads.
pub(super) fn cut_captions(dataset: &Dataset, tokenizer: &Tokenizer, recipe: &Recipe) -> Option<String> {
    let max_token_length = recipe.model.max_token_length;
    let cut = |item: &Item| {
        let rules = &dataset.settings(&recipe.data, item).captions;
        let tokens = |line: String| weighted_ids(tokenizer, &line, rules.weighted).0.len();
        let longest = caption::lines(&item.caption, rules).map(tokens).max().unwrap_or(0);
        longest.saturating_sub(max_token_length as usize)
    };
    let long: Vec<_> = dataset.items.iter().filter(|item| cut(item) > 0).collect();
    let worst = long.iter().max_by_key(|item| cut(item))?;
    let remedy = if max_token_length < 225 { "; raise max_token_length to 150 or 225" } else { "" };
    Some(format!(
        "{} longer than {max_token_length} tokens, so that the end is lost (most: {}, {} tokens){remedy}",
        if long.len() == 1 { "1 caption is".to_owned() } else { format!("{} captions are", long.len()) },
        worst.path.display(),
        cut(worst)
    ))
}
