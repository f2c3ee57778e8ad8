//! `lorabake train`: the recipe on the command line becomes a LoRA.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_recipe::{ParseError, Parsed, parse_run};
use lorabake_train::distributed::finish;
use lorabake_train::stages::left_to_do;

use crate::bake::{bake, is_quiet, summary};
use crate::errors;
use crate::terminal::{self, Shown};

/// Trains what `argv`, the words behind `lorabake train`, ask for.
///
/// # Errors
/// What ended the bake.
pub fn run(argv: &[OsString]) -> Result<ExitCode> {
    let stages = match parse_run(argv) {
        Ok(stages) => stages,
        Err(ParseError::Asked(text)) => {
            terminal::result(&text);
            return Ok(ExitCode::SUCCESS);
        }
        Err(error @ ParseError::Unusable(_)) => return Ok(refuse(&error)),
    };
    if let [Parsed { write_to: Some(path), recipe, .. }] = stages.as_slice() {
        write_new(path, &recipe.to_toml()?).with_context(|| format!("cannot write {}", path.display()))?;
        terminal::result(&Shown(path.display()).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let stages = left_to_do(stages)?;
    for (index, parsed) in stages.iter().enumerate() {
        if stages.len() > 1 {
            let name = Shown(&parsed.recipe.output.name);
            terminal::say_lines(&format!("\nstage {} of {}: {name}", index + 1, stages.len()));
        }
        let outcome = bake(parsed)?;
        if !is_quiet() {
            terminal::result(&summary(parsed, &outcome));
        }
        if outcome.steps < outcome.planned && outcome.best_epoch.is_none() {
            break; // Ctrl-C ends the whole run.
        }
    }
    finish();
    Ok(ExitCode::SUCCESS)
}

/// One line for every problem of `lorabake train`.
pub fn refuse(error: &ParseError) -> ExitCode {
    refuse_for("train", error)
}

/// One line for every problem, of a command that takes the options of training.
pub fn refuse_for(command: &str, error: &ParseError) -> ExitCode {
    match error {
        ParseError::Unusable(problems) => errors::tell(&problems.clone().into()),
        ParseError::Asked(text) => terminal::say_lines(text),
    }
    terminal::say(&format!("All options are explained by: lorabake {command} --help"));
    ExitCode::from(error.exit_code())
}

/// Writes a file that must not exist yet, whole or not at all.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().sync_all()?;
    beside.persist_noclobber(path)?;
    Ok(())
}
