//! From a command line, with or without a recipe file, to a resolved recipe.
//!
//! Four layers are put over each other: `--preset`, `--like`, the recipe file with its stage, the command line. Every
//! problem is found in one go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::argv::{self, Given};
use super::command::{TrainArgs, help_or_version, is_place};
use super::intake::Intake;
use crate::recipe::{RawRecipe, Recipe};
use crate::report::{Note, Problem, Problems};

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The options as they were given.
    pub raw: RawRecipe,
    /// What they mean.
    pub recipe: Recipe,
    /// What the user should know before training starts, in the order of the sections.
    pub notes: Vec<Note>,
    /// `--output_config`: write `recipe.to_toml()` to this new file instead of training.
    pub write_to: Option<PathBuf>,
}

/// Why there is nothing to train.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParseError {
    /// `--help` or `--version`: the text that was asked for, to be printed as it is.
    #[error("{0}")]
    Asked(String),
    /// The recipe cannot be used.
    #[error("{0}\nAll options are explained by: lorabake train --help")]
    Unusable(Problems),
}

impl ParseError {
    /// The exit code of the program: 0 for a text that was asked for, 2 for an unusable recipe.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Asked(_) => 0,
            Self::Unusable(_) => 2,
        }
    }
}

/// One stage of a run, with what the tables of all its stages say for themselves.
pub(crate) struct ParsedStage {
    pub(crate) parsed: Parsed,
    /// The options of each `[[stage]]` table, in their order; none for a recipe without stages.
    pub(crate) tables: Vec<Vec<Given>>,
}

/// Reads, merges and resolves what follows `lorabake train`, all problems at once.
///
/// # Errors
/// The text of `--help` or `--version` where one was asked for, else every problem of the command line and its file.
pub fn parse_train(argv: &[OsString]) -> Result<Parsed, ParseError> {
    Ok(parse_stage(argv, 0)?.parsed)
}

/// Reads what follows `lorabake train` for the stage `index` of its recipe.
///
/// # Errors
/// The errors of [`parse_train`].
pub(crate) fn parse_stage(argv: &[OsString], index: usize) -> Result<ParsedStage, ParseError> {
    if let Some(text) = help_or_version(argv) {
        return Err(ParseError::Asked(text));
    }
    let mut typed = argv::split(argv);
    let mut intake = Intake::new(typed.problems);
    let mut args = TrainArgs::default();
    for given in typed.options.iter().filter(|given| is_place(&given.name)) {
        if given.name == "config_file" && args.place.config_file.is_some() {
            intake.blinded(given.problem("two recipe files are given", "give one"));
            continue;
        }
        let before = intake.report.problems.len();
        intake.take(given, &mut args);
        intake.is_blind |= intake.report.problems.len() > before;
    }
    typed.options.retain(|given| !is_place(&given.name));
    let mut file = intake.read_file(&args.place);
    if let Some(table) = intake.stages.get(index) {
        overlay(&mut file.options, table);
    }
    if says_length(&typed.options) {
        file.options.retain(|given| !is_length(given));
    }
    let like = intake.like(&args.place, &[&file.options, &typed.options]);
    let preset = intake.preset(&args.place, &[&like, &file.options, &typed.options]);
    for given in [&preset, &like, &file.options, &typed.options].into_iter().flatten() {
        intake.take(given, &mut args);
    }
    let tables = std::mem::take(&mut intake.stages);
    let parsed = resolve(intake, args.recipe, file.write_to)?;
    Ok(ParsedStage { parsed, tables })
}

/// Only one of these acts, so that the choice of a stage or of the command line takes the file's other one away.
const LENGTHS: [&str; 2] = ["max_train_epochs", "max_train_steps"];

fn is_length(given: &Given) -> bool {
    LENGTHS.contains(&given.name.as_str())
}

fn says_length(options: &[Given]) -> bool {
    options.iter().any(is_length)
}

/// Puts a stage's options in place of those that hold for all stages.
fn overlay(file: &mut Vec<Given>, table: &[Given]) {
    let says = |name: &str| table.iter().any(|given| given.name == name);
    let has_length = says_length(table);
    file.retain(|given| {
        let is_replaced = says(&given.name) || has_length && is_length(given);
        !is_replaced
    });
    file.extend(table.iter().cloned());
}

/// Reads and resolves the text of a recipe file, for instance the one that is kept in a LoRA's metadata; `path` serves
/// the messages only.
///
/// # Errors
/// Every problem of the recipe.
pub fn parse_toml(text: &str, path: &Path) -> Result<Parsed, ParseError> {
    let mut intake = Intake::new(Vec::new());
    let mut args = TrainArgs::default();
    let options = intake.read_text(text, path);
    for given in &options {
        intake.take(given, &mut args);
    }
    resolve(intake, args.recipe, None)
}

/// Resolves what was taken. What an unreadable file or option might have said is not complained about a second time.
pub(crate) fn resolve(intake: Intake, raw: RawRecipe, write_to: Option<PathBuf>) -> Result<Parsed, ParseError> {
    let Intake { mut report, is_blind, of_windows, .. } = intake;
    report.notes.extend(of_windows.note());
    if is_blind {
        return Err(ParseError::Unusable(Problems(report.problems)));
    }
    let unreadable: Vec<Problem> = std::mem::take(&mut report.problems);
    let recipe = raw.resolve_into(&mut report);
    if recipe.output.resume.is_some() {
        // A run that goes on has the seed of its state, so none that is drawn here matters.
        report.notes.retain(|note| note.option != "seed");
    }
    let mut problems = unreadable.clone();
    for problem in report.problems {
        let is_known = problem.option.as_deref().is_some_and(|option| is_about(&unreadable, option));
        if !is_known {
            problems.push(problem);
        }
    }
    if !problems.is_empty() {
        return Err(ParseError::Unusable(Problems(problems)));
    }
    Ok(Parsed { raw, recipe, notes: report.notes, write_to })
}

/// Whether one of `problems` is about `option`, or takes a mistyped name for it.
fn is_about(problems: &[Problem], option: &str) -> bool {
    let guess = format!("{option}?");
    problems.iter().any(|problem| problem.option.as_deref() == Some(option) || problem.remedy.contains(&guess))
}
