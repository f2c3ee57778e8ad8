//! The stages of a run before its first step: what would stop a later one is found now, and what is done is left out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_recipe::output::Output;
use lorabake_recipe::{Note, Parsed};
use lorabake_weights::{file_names, lora};

use crate::estimate::{RunPlan, plan_after, plan_run};
use crate::output::state;
use crate::run::resume::{lacks_result, with_seed_of};
use crate::session::look_ahead;

/// The stages of a run that are left to do.
///
/// A stage is done if the state of its end is resumed and its LoRA is there. The stages after one that is resumed hold
/// out the images that it held out.
///
/// # Errors
/// Whatever would end one of the later stages before its first step, as far as that can be told now: its options, images,
/// prompts and output folder; a damaged state.
pub fn left_to_do(mut stages: Vec<Parsed>) -> Result<Vec<Parsed>> {
    if stages.len() < 2 {
        return Ok(stages);
    }
    if let Some(folder) = stages[0].recipe.output.resume.clone()
        && goes_on_from(&mut stages, &folder)?
    {
        let done = stages.remove(0).recipe.output.name;
        let next = &mut stages[0];
        let text = format!("{done} was trained to its end, so {} begins", next.recipe.output.name);
        next.notes.push(Note { option: "resume".to_owned(), text });
    }
    for (index, stage) in stages.iter().enumerate().skip(1) {
        let name = || format!("the stage {}", stage.recipe.output.name);
        look_ahead(stage).with_context(name)?;
        if let Some(weights) = &stage.recipe.network.weights
            && !stages[..index].iter().any(|before| result(&before.recipe.output) == *weights)
        {
            lora::note(weights).context("--network_weights").with_context(name)?;
        }
    }
    Ok(stages)
}

/// Lets the stages go on from the state in `folder`, which is of the first one; whether that is done.
fn goes_on_from(stages: &mut [Parsed], folder: &Path) -> Result<bool> {
    let saved = state::load(folder)?;
    stages[0] = with_seed_of(&stages[0], Some(&saved))?;
    for (index, stage) in stages.iter_mut().enumerate().skip(1) {
        stage.recipe.data.split_by(saved.position.split_seed);
        if stage.raw.train.seed.is_none() {
            stage.recipe.train.seed = (saved.position.seed + index as u64) & u64::from(u32::MAX);
        }
    }
    let recipe = &stages[0].recipe;
    if !result(&recipe.output).is_file() || lacks_result(recipe) {
        return Ok(false);
    }
    Ok(saved.position.is_ended || saved.position.step == look_ahead(&stages[0])?.steps)
}

/// Plans all stages of a run; each curve has at most `points` values.
///
/// # Errors
/// As [`plan_run`], naming the stage.
pub fn plan_all(stages: &[Parsed], points: usize) -> Result<Vec<RunPlan>> {
    let mut plans: Vec<RunPlan> = Vec::new();
    for stage in stages {
        let weights = stage.recipe.network.weights.as_ref();
        let before = plans.iter().find(|plan| weights == Some(&result(&plan.recipe.output)));
        let plan = match before {
            Some(before) => plan_after(before, stage, points),
            None => plan_run(stage, points),
        };
        plans.push(if stages.len() > 1 {
            plan.with_context(|| format!("the stage {}", stage.recipe.output.name))?
        } else {
            plan?
        });
    }
    Ok(plans)
}

/// The file that a run ends with.
fn result(output: &Output) -> PathBuf {
    output.dir.join(file_names::last(&output.name))
}
