//! Stages: one recipe that trains several times in a row, each time going on from the LoRA of the time before.
//!
//! Options outside `[[stage]]` tables hold for all stages, those in a table for its stage, the command line over both.
//! A stage has its own optimizer, schedule, images and length; what goes over is the LoRA.

use std::ffi::OsString;
use std::path::PathBuf;

use super::argv::Given;
use super::command_line::{ParseError, Parsed, parse_stage};
use crate::report::{Problem, Problems};

/// Reads what follows `lorabake train`: the recipe of each stage, in order; one if the recipe has no stages.
///
/// All but the last save as `NAME-stageN` in full precision, and each but the first begins with the file before it
/// and with the next seed, unless its table says otherwise. `--resume` begins with the stage that the state is of.
///
/// # Errors
/// The errors of [`crate::parse_train`], for the first stage that has a problem.
pub fn parse_run(argv: &[OsString]) -> Result<Vec<Parsed>, ParseError> {
    let first = parse_stage(argv, 0)?;
    let tables = first.tables;
    let mut stages = vec![first.parsed];
    for index in 1..tables.len() {
        stages.push(parse_stage(argv, index)?.parsed);
    }
    if stages.len() == 1 {
        return Ok(stages);
    }
    if let Some(path) = &stages[0].write_to {
        let what = format!("{} would hold one stage only", path.display());
        return Err(refuse("output_config", what, "leave it out"));
    }
    link(&mut stages, &tables);
    skip_to_resumed(stages)
}

/// Names the files between the stages, and makes each stage begin with the file of the stage before.
fn link(stages: &mut [Parsed], tables: &[Vec<Given>]) {
    let count = stages.len();
    let says = |index: usize, name: &str| tables[index].iter().any(|given| given.name == name);
    let mut before: Option<PathBuf> = None;
    let seed = stages.first().map_or(0, |stage| stage.recipe.train.seed);
    for (index, stage) in stages.iter_mut().enumerate() {
        // An image that one stage learns from measures nothing in another, so all hold out the same ones.
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
                // A seed that nobody gave is drawn once, so that giving it repeats all stages.
                let base = if stage.raw.train.seed.is_some() { stage.recipe.train.seed } else { seed };
                stage.recipe.train.seed = (base + index as u64) & u64::from(u32::MAX);
                stage.notes.retain(|note| note.option != "seed");
            }
        }
    }
}

/// Leaves out the stages before the one whose state is resumed.
fn skip_to_resumed(mut stages: Vec<Parsed>) -> Result<Vec<Parsed>, ParseError> {
    let Some(state) = stages[0].recipe.output.resume.clone() else { return Ok(stages) };
    let folder = state.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut resumed: Option<usize> = None;
    for (index, stage) in stages.iter().enumerate() {
        let name = &stage.recipe.output.name;
        let is_its_folder = folder.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('-'));
        // `penny-stage1-state` begins with the last stage's name, `penny`, as well: the longest name counts.
        let is_longest = resumed.is_none_or(|best| name.len() >= stages[best].recipe.output.name.len());
        if is_its_folder && is_longest {
            resumed = Some(index);
        }
    }
    let Some(index) = resumed else {
        let names: Vec<&str> = stages.iter().map(|stage| stage.recipe.output.name.as_str()).collect();
        let remedy = format!("name a state whose folder begins with {}", names.join(" or "));
        return Err(refuse("resume", format!("{} is of no stage of this recipe", state.display()), &remedy));
    };
    stages.drain(..index);
    for stage in &mut stages[1..] {
        stage.recipe.output.resume = None;
    }
    // A stage has its own seed, and the state knows it: only a seed that was typed is compared.
    stages[0].raw.train.seed = None;
    Ok(stages)
}

fn refuse(option: &str, what: String, remedy: &str) -> ParseError {
    let problem = Problem { option: Some(option.into()), what, remedy: remedy.into(), file: None };
    ParseError::Unusable(Problems(vec![problem]))
}
