//! `lorabake import`: a preset of another program, or the settings inside a LoRA, as a recipe file on stdout.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::import::import;
use lorabake_recipe::problems_of_import;

use crate::terminal;

/// What follows `lorabake import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .json of the kohya GUI or of OneTrainer, or a LoRA as .safetensors.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Options that every recipe needs and a preset cannot know.
const OWN: [&str; 2] = ["train_data_dir", "output_dir"];

/// Prints the recipe, and on stderr what is left to do by hand.
///
/// # Errors
/// None; a file that cannot be imported is an exit code.
pub fn run(args: &Args) -> Result<ExitCode> {
    let imported = match import(&args.file) {
        Ok(imported) => imported,
        Err(problem) => {
            terminal::say(&format!("error: {problem}"));
            return Ok(ExitCode::from(2));
        }
    };
    imported.left_out_lines().iter().for_each(|line| terminal::say(&format!("left out: {line}")));
    for problem in problems_of_import(&imported) {
        let own = problem.option.as_deref().is_some_and(|option| OWN.contains(&option));
        terminal::say(&format!("{}: {problem}", if own { "to be added" } else { "to be changed" }));
    }
    terminal::quoted_data(&imported.to_toml());
    Ok(ExitCode::SUCCESS)
}
