//! Tests of what users type: command lines and recipe files in, messages and recipes out. Where a test belongs:
//!
//! - `messages`: the exact words of problems and notes, one row each in problems.txt and notes.txt.
//! - `options`: every option by its name alone, and that none of sd-scripts' is forgotten.
//! - `numbers`: what happens at the ends of every number that may be typed.
//! - `toml`: recipe files, and that a recipe written out is read back as it was.
//! - `dataset_config`: `--dataset_config`.
//! - `stages`: `[[stage]]` tables.
//! - `files`: encodings, JSON in place of TOML, lists that were cut, `~`.
//! - `strangers`: what a stranger's file may not do.
//! - `imports`: presets of other programs, `--like`, `--preset`.
//! - `other_trainers`: presets for other families, secrets, and settings of OneTrainer that once got lost.
//! - `families`: what depends on the checkpoint.
//! - `adapters`: kinds of adapter and their `--network_args`.
//! - `blocks`: ranks and learning rates of single blocks.
//! - `optimizers`: optimizers, rates and schedules.
//! - `guide`: the two sample scripts at the end of the guide.
//! - `advise`, `dampening`: what the guide advises, and which settings slow learning down.

mod adapters;
mod advise;
mod blocks;
mod dampening;
mod dataset_config;
mod families;
mod files;
mod guide;
mod imports;
mod messages;
mod numbers;
mod optimizers;
mod options;
mod other_trainers;
mod stages;
mod strangers;
mod toml;

use std::ffi::OsString;

use lorabake_recipe::model::Family;
use lorabake_recipe::{CheckpointFacts, ParseError, Parsed, parse_train};

/// Options without which every recipe has problems or notes of its own.
const ENOUGH: &str = "--pretrained_model_name_or_path=m.safetensors --train_data_dir=images --output_dir=out \
                      --output_name=penny --resolution=512 --network_dim=32 --network_alpha=16 --learning_rate=1e-4 \
                      --max_train_epochs=8 --seed=420";

/// Parses a line whose words stand apart by white space.
fn parse(line: &str) -> Result<Parsed, ParseError> {
    parse_train(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
}

/// What a checkpoint of a family says of itself if it says nothing more.
fn found(family: Family) -> CheckpointFacts {
    CheckpointFacts { family, velocity: None, zero_terminal_snr: false }
}

/// The problems of a line for SD1.x, one per line.
fn problems(line: &str) -> String {
    problems_with(line, found(Family::Sd1))
}

/// The same for another checkpoint.
fn problems_with(line: &str, found: CheckpointFacts) -> String {
    let problems = match parse(line) {
        Err(ParseError::Unusable(problems)) => problems,
        Ok(parsed) => parsed.with(found).expect_err(line),
        other => panic!("no problem in {line}: {other:?}"),
    };
    problems.0.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The notes of a line for SD1.x, one per line.
fn notes(line: &str) -> String {
    notes_with(line, found(Family::Sd1))
}

/// The same for another checkpoint.
fn notes_with(line: &str, found: CheckpointFacts) -> String {
    let parsed = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let settled = parsed.with(found).unwrap_or_else(|error| panic!("{line}: {error}"));
    parsed.notes.iter().chain(&settled.notes).map(|note| format!("{note}\n")).collect()
}
