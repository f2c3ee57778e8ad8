//! Tests of what users type: command lines and recipe files in, messages and recipes out.

mod adapters;
mod advise;
mod blocks;
mod dampening;
mod dataset_config;
mod guide;
mod imports;
mod messages;
mod optimizers;
mod options;
mod stages;
mod toml;

use std::ffi::OsString;

use lorabake_recipe::{ParseError, Parsed, parse_train};

/// Options without which every recipe has problems or notes of its own.
const ENOUGH: &str = "--pretrained_model_name_or_path=m.safetensors --train_data_dir=images --output_dir=out \
                      --output_name=penny --resolution=512 --network_dim=32 --network_alpha=16 --learning_rate=1e-4 \
                      --max_train_epochs=8 --seed=420";

/// Parses a line whose words stand apart by white space.
fn parse(line: &str) -> Result<Parsed, ParseError> {
    parse_train(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
}

/// The problems of a line, one per line.
fn problems(line: &str) -> String {
    match parse(line) {
        Err(ParseError::Unusable(problems)) => problems.0.iter().map(|problem| format!("{problem}\n")).collect(),
        other => panic!("no problem in {line}: {other:?}"),
    }
}

/// The notes of a line, one per line.
fn notes(line: &str) -> String {
    let parsed = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    parsed.notes.iter().map(|note| format!("{note}\n")).collect()
}
