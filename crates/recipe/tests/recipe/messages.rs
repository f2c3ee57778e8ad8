//! The exact words of problems and notes, one row per rule (problems.txt, notes.txt: what is typed, then, indented,
//! the messages).

use crate::{ENOUGH, notes, parse, problems};

/// Pairs of what is typed and the lines of its messages.
fn rows(table: &str) -> Vec<(&str, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for line in table.lines() {
        match line.strip_prefix("    ") {
            Some(line) => rows.last_mut().expect("something is typed first").1.push_str(&format!("{line}\n")),
            None => rows.push((line, String::new())),
        }
    }
    rows
}

#[test]
fn a_complete_recipe_has_nothing_to_say() {
    assert_eq!(notes(ENOUGH), "");
}

#[test]
fn each_problem_names_the_option_and_the_remedy() {
    // Each system has words of its own for this.
    let missing = std::fs::read("nowhere.toml").unwrap_err().to_string();
    let table = include_str!("problems.txt").replace("No such file or directory (os error 2)", &missing);
    for (typed, expected) in rows(&table) {
        assert_eq!(problems(&format!("{ENOUGH} {typed}")), expected, "{typed}");
    }
}

#[test]
fn each_note_names_the_option_and_the_reason() {
    for (typed, expected) in rows(include_str!("notes.txt")) {
        assert_eq!(notes(&format!("{ENOUGH} {typed}")), expected, "{typed}");
    }
}

#[test]
fn defaults_that_matter_are_noted() {
    let parsed = parse("--train_data_dir=images --output_dir=out").unwrap();
    let seed = parsed.recipe.train.seed;
    let notes: String = parsed.notes.iter().map(|note| format!("{note}\n")).collect();
    let expected = include_str!("defaults.txt").replace("SEED", &seed.to_string());
    assert_eq!(notes, expected);
}

#[test]
fn all_problems_are_noted_at_once_and_none_twice() {
    let error = parse("--train_data_di=images --network_dim=wide --clip_skip=99 --resize_interpolation=x").unwrap_err();
    let expected = "\
5 problems with the recipe:
  --train_data_di: neither lorabake nor sd-scripts knows this option; did you mean --train_data_dir?
  --network_dim: `wide` is not a whole number from 0 to 4294967295; write for instance 1
  --resize_interpolation: known to sd-scripts, but lorabake does not support it yet; leave it out: images are shrunk by area and enlarged by Lanczos
  --clip_skip: 99 is not a layer of the text encoder; use 2 for NAI and most anime models, 1 for realistic ones
  --output_dir: the folder for the result is missing; give a folder, for instance out
All options are explained by: lorabake train --help";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.exit_code(), 2);
}
