//! Stages: one recipe that trains several times in a row, each time going on from the LoRA of the time before.
//!
//! Options outside `[[stage]]` tables hold for all stages, those in a table for its stage, the command line over both.
//! A stage has its own optimizer, schedule, images and length; what goes over is the LoRA.

use std::ffi::OsString;

use crate::argv::Given;
use crate::parse::{ParseError, Parsed, parse_stage};
use crate::report::{Problem, Problems};

/// Only one of these can be given, so that a stage's own choice takes the other one away.
const LENGTHS: [&str; 2] = ["max_train_epochs", "max_train_steps"];

/// Reads what follows `lorabake train`: the recipe of each stage, in order; one if the recipe has no stages.
///
/// All but the last save as `NAME-stageN` in full precision, and each but the first begins with the file before it
/// and with the next seed, unless its table says otherwise. `--resume` begins with the stage that the state is of.
///
/// # Errors
/// As [`crate::parse_train`], of the first stage that has a problem.
pub fn parse_run(argv: &[OsString]) -> Result<Vec<Parsed>, ParseError> {
    let (first, own) = parse_stage(argv, 0)?;
    let rest = (1..own.len()).map(|index| parse_stage(argv, index).map(|(parsed, _)| parsed));
    let mut stages = vec![first];
    for stage in rest {
        stages.push(stage?);
    }
    if stages.len() > 1 {
        if let Some(path) = &stages[0].write_to {
            return Err(refuse(
                "output_config",
                format!("{} would hold one stage only", path.display()),
                "leave it out",
            ));
        }
        link(&mut stages, &own);
        return skip_to_resumed(stages);
    }
    Ok(stages)
}

/// Puts a stage's options in place of those that hold for all.
pub(crate) fn overlay(file: &mut Vec<Given>, own: &[Given]) {
    let is_own = |name: &str| own.iter().any(|given| given.name == name);
    let length = LENGTHS.iter().any(|name| is_own(name));
    let goes = |name: &str| is_own(name) || length && LENGTHS.contains(&name);
    file.retain(|given| !goes(&given.name));
    file.extend(own.iter().cloned());
}

/// Names the files between the stages, and makes each stage begin with the one before.
fn link(stages: &mut [Parsed], own: &[Vec<Given>]) {
    let count = stages.len();
    let says = |index: usize, name: &str| own[index].iter().any(|given| given.name == name);
    let mut before: Option<std::path::PathBuf> = None;
    let seed = stages.first().map_or(0, |stage| stage.recipe.train.seed);
    for (index, stage) in stages.iter_mut().enumerate() {
        // An image that one stage learns from cannot tell anything in another.
        stage.recipe.data.split_by(seed);
        let output = &mut stage.recipe.output;
        if index + 1 < count {
            if !says(index, "output_name") {
                output.name = format!("{}-stage{}", output.name, index + 1);
            }
            if !says(index, "save_precision") {
                output.save_precision = None;
            }
        }
        let file = output.dir.join(format!("{}.safetensors", output.name));
        if let Some(before) = before.replace(file) {
            if !says(index, "network_weights") {
                stage.recipe.network.weights = Some(before);
            }
            if !says(index, "seed") {
                stage.recipe.train.seed = (stage.recipe.train.seed + index as u64) & u64::from(u32::MAX);
            }
        }
    }
}

/// Leaves out the stages before the one whose state is resumed.
fn skip_to_resumed(mut stages: Vec<Parsed>) -> Result<Vec<Parsed>, ParseError> {
    let Some(state) = stages[0].recipe.output.resume.clone() else { return Ok(stages) };
    let folder = state.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_of = |name: &str| folder.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
    let fits = stages.iter().enumerate().filter(|(_, stage)| is_of(&stage.recipe.output.name));
    // `penny-stage1-state` begins with the last stage's name, `penny`, as well.
    let Some((index, _)) = fits.max_by_key(|(_, stage)| stage.recipe.output.name.len()) else {
        let names: Vec<&str> = stages.iter().map(|stage| stage.recipe.output.name.as_str()).collect();
        let remedy = format!("name a state whose folder begins with {}", names.join(" or "));
        return Err(refuse("resume", format!("{} is of no stage of this recipe", state.display()), &remedy));
    };
    stages.drain(..index);
    stages[1..].iter_mut().for_each(|stage| stage.recipe.output.resume = None);
    // A stage has its own seed, and the state knows it: only a seed that was typed is compared.
    stages[0].raw.train.seed = None;
    Ok(stages)
}

fn refuse(option: &str, what: String, remedy: &str) -> ParseError {
    let problem = Problem { option: Some(option.into()), what, remedy: remedy.into(), file: None };
    ParseError::Unusable(Problems(vec![problem]))
}
