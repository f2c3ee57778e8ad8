//! `lorabake plan`: what a recipe will do, before anything runs.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::guide::dampening::{Dampening, dampening};
use lorabake_recipe::network::Scope;
use lorabake_recipe::train::device::Device;
use lorabake_recipe::{ParseError, Parsed, RawRecipe, Recipe, count, parse_run};
use lorabake_train::estimate::{LoraSize, MemoryReport, RunPlan};
use lorabake_train::stages::{left_to_do, plan_all};

use super::{check, train};
use crate::memory::{gb, listed, warning};
use crate::terminal::{self, Shown};
use crate::{command, dataset_words, graph};

/// Shows what `argv`, the words behind `lorabake plan`, would make `lorabake train` do.
///
/// # Errors
/// What would end the bake before its first step.
pub fn run(argv: &[OsString]) -> Result<ExitCode> {
    let stages = match parse_run(argv) {
        Ok(stages) => stages,
        Err(ParseError::Asked(_)) => {
            terminal::result(&command::help_of_plan());
            return Ok(ExitCode::SUCCESS);
        }
        Err(error @ ParseError::Unusable(_)) => return Ok(train::refuse(&error)),
    };
    let stages = left_to_do(stages)?;
    // What ends a run may be explained by a note.
    let plans = plan_all(&stages, graph::POINTS).inspect_err(|_| stages.iter().for_each(tell_notes))?;
    for (index, (parsed, foresight)) in stages.iter().zip(plans).enumerate() {
        if stages.len() > 1 {
            let name = Shown(&parsed.recipe.output.name);
            terminal::result(&format!("Stage {} of {}: {name}\n", index + 1, stages.len()));
        }
        tell_notes(parsed);
        foresight.notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
        foresight.file_notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
        let sections = [
            dataset_words::text(&foresight.dataset),
            schedule(&foresight),
            rates(&foresight.recipe),
            brakes(&foresight.recipe),
            cost(&foresight),
        ];
        terminal::result(&sections.join("\n"));
        let outlook = MemoryReport {
            peak: foresight.memory.peak(),
            available: available(foresight.recipe.train.device),
            savings: foresight.savings,
        };
        if let Some(warning) = warning(&outlook) {
            terminal::say(&warning);
        }
        if let Some(line) = check::brief::line(&foresight.recipe, recipe_file(argv))? {
            terminal::say(&format!("warning: {line}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The recipe file that is named, if one is.
fn recipe_file(argv: &[OsString]) -> Option<&Path> {
    const OPTION: &str = "--config_file";
    let first = argv.first()?;
    if !first.to_string_lossy().starts_with('-') {
        return Some(Path::new(first));
    }
    let place = argv.iter().position(|word| word == OPTION)?;
    argv.get(place + 1).map(Path::new)
}

/// Bytes that are free where the run would be computed.
fn available(wanted: Device) -> Option<u64> {
    // Without GPUs nothing has to be tried out.
    if lorabake_device::built_in().is_empty() {
        return lorabake_device::free_memory();
    }
    let opened = lorabake_device::open(wanted).ok()?;
    lorabake_device::free_memory_of(&opened.device)
}

fn tell_notes(parsed: &Parsed) {
    parsed.notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
}

fn schedule(foresight: &RunPlan) -> String {
    let RunPlan { recipe, length, curve, .. } = foresight;
    let name = RawRecipe::from(recipe).optim.lr_scheduler.unwrap_or_default();
    let title = match recipe.optim.optimizer.sets_own_rates() {
        true => format!("{} sets its own rates from step to step", recipe.optim.optimizer.name()),
        false => format!("learning rate: {name}"),
    };
    let per_epoch = format!(
        "{} per epoch, {}, {}",
        count(length.steps_per_epoch, "step"),
        count(length.epochs, "epoch"),
        count(length.steps, "step")
    );
    let picture = graph::draw(curve, ["step 1", &format!("step {}", length.steps)]);
    format!("{title}; {per_epoch}\n{picture}")
}

/// Rates as they act: the LoRA's output is scaled by alpha over rank.
fn rates(recipe: &Recipe) -> String {
    let (size, optim) = (recipe.network.linear, &recipe.optim);
    let scale = size.alpha / size.rank as f64;
    let text = recipe.network.scope != Scope::UnetOnly;
    let two = optim.text_encoder_lr != optim.text_encoder2_lr;
    let parts = [
        ("text encoder", optim.text_encoder_lr, text && optim.text_encoder_lr != 0.0),
        ("second one", optim.text_encoder2_lr, text && two && optim.text_encoder2_lr != 0.0),
        ("UNet", optim.unet_lr, recipe.network.scope != Scope::TextEncoderOnly),
    ];
    let factor = if optim.optimizer.adapts() { " × d, which is found while training" } else { "" };
    let mut text = "effective learning rate = rate × alpha ÷ rank\n".to_owned();
    for (part, rate, _) in parts.into_iter().filter(|(.., trained)| *trained) {
        text += &format!("  {part:<13} {rate} × {} ÷ {} = {:.3e}{factor}\n", size.alpha, size.rank, rate * scale);
    }
    text
}

fn brakes(recipe: &Recipe) -> String {
    let mut text = "what slows learning (arrows: the guide's, one is a noticeable small decrease)\n".to_owned();
    for Dampening { setting, arrows, effect } in dampening(recipe) {
        let shown = match arrows.map(f64::round) {
            Some(count) if count >= 1.0 => "↑".repeat((count as usize).min(12)),
            Some(count) if count <= -1.0 => "↓".repeat((-count as usize).min(12)),
            _ => "–".to_owned(),
        };
        text += &format!("  {setting:<20} {shown:<12} {effect}\n");
    }
    if recipe.optim.optimizer.adapts() {
        text += &format!("  {} makes up for most of this itself\n", recipe.optim.optimizer.name());
    }
    text
}

fn cost(foresight: &RunPlan) -> String {
    let RunPlan { memory, savings, lora, files, recipe, .. } = foresight;
    let mut text = format!(
        "memory: about {} at most: {} while latents and captions are made, {} while training\n  \
         frozen model {}, a step {}{}, the LoRA with gradients and optimizer {}\n",
        gb(memory.peak()),
        gb(memory.preparing),
        gb(memory.training()),
        gb(memory.frozen),
        gb(memory.step),
        if memory.picture > 0 { format!(", a picture {}", gb(memory.picture)) } else { String::new() },
        gb(memory.trained),
    );
    if !savings.is_empty() {
        text += &format!("  less with {}\n", listed(savings));
    }
    let several = if *files > 1 { format!("; {files} files with the snapshots") } else { String::new() };
    let name = Shown(&recipe.output.name);
    let LoraSize { modules, parameters, bytes } = lora;
    text + &format!(
        "file: {name}.safetensors, {:.1} MB ({bytes} bytes, give or take a few digits of times in its \
         metadata){several}\n  \
         {parameters} numbers in {}\n",
        *bytes as f64 / 1e6,
        count(*modules, "module"),
    )
}
