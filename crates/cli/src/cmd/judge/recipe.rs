//! The recipe of a run that is judged: a recipe file, or what the LoRA itself says and options that a file cannot.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use lorabake_judge::runs::Run;
use lorabake_recipe::import::import;
use lorabake_recipe::model::Checkpoint;
use lorabake_recipe::{ParseError, Recipe, parse_train};
use lorabake_weights::inspect::inspect;

use crate::terminal;

/// Where the run's settings are found.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "The run's recipe")]
pub struct RecipeArgs {
    /// Recipe that the run was trained with: it tells where images and checkpoint are; settings are those that the LoRA
    /// says of itself.
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Folder that holds the `N_concept` folders of the training images, which a LoRA does not say.
    #[arg(long, value_name = "FOLDER")]
    pub train_data_dir: Option<PathBuf>,
    /// Folder of its regularization images, for the recipe that --apply writes.
    #[arg(long, value_name = "FOLDER")]
    pub reg_data_dir: Option<PathBuf>,
    /// Checkpoint that it was trained on. [default: that of --config_file, or the small model inside the program]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub pretrained_model_name_or_path: Option<PathBuf>,
    /// VAE in the place of the checkpoint's.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub vae: Option<PathBuf>,
}

impl RecipeArgs {
    /// The recipe of `run`: what its last LoRA says of itself, with the places that the recipe file or options name. Settings
    /// that were typed for training are in the LoRA alone.
    ///
    /// # Errors
    /// When there is none, or what is wrong with it.
    pub fn recipe(&self, run: &Run) -> Result<Recipe> {
        let last = &run.snapshots.last().context("a run has snapshots")?.path;
        let given = match &self.config_file {
            Some(path) => {
                let mut argv: Vec<OsString> = vec!["--config_file".into(), path.into()];
                argv.extend(self.places());
                argv.extend(output_of(run));
                Some(parsed(&argv)?)
            }
            None if self.train_data_dir.is_none() => {
                bail!("--config_file: give the recipe of the run, or its images by --train_data_dir")
            }
            None => None,
        };
        let imported = match import(last) {
            Ok(imported) => imported,
            Err(problem) => {
                let given = given.ok_or_else(|| anyhow!("{problem}; give the run's recipe by --config_file"))?;
                terminal::say(&format!("note: {}: it does not say how it was trained", last.display()));
                return Ok(given);
            }
        };
        if let Some(given) = given.as_ref().filter(|given| given.data.config.is_some()) {
            return Ok(given.clone());
        }
        let file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        std::fs::write(file.path(), imported.to_toml())?;
        let mut argv: Vec<OsString> = vec!["--config_file".into(), file.path().into()];
        argv.extend(given.as_ref().map_or_else(|| self.places(), places_of));
        argv.extend(output_of(run));
        let recipe = parsed(&argv)?;
        if given.is_some_and(|given| given.data.hold_out != recipe.data.hold_out) {
            terminal::say(
                "note: the LoRA was trained with another --validation_split or seed than the recipe says; its own hold",
            );
        }
        if recipe.data.reg_dir.is_none() && had_regularization(last) {
            terminal::say(
                "note: it was trained with regularization images; give their folder by --reg_data_dir, so that the next \
                 recipe has it",
            );
        }
        Ok(recipe)
    }

    /// The places that were typed, as options.
    fn places(&self) -> Vec<OsString> {
        let mut argv: Vec<OsString> = Vec::new();
        for (option, path) in [
            ("--train_data_dir", &self.train_data_dir),
            ("--reg_data_dir", &self.reg_data_dir),
            ("--pretrained_model_name_or_path", &self.pretrained_model_name_or_path),
            ("--vae", &self.vae),
        ] {
            if let Some(path) = path {
                argv.extend([option.into(), path.into()]);
            }
        }
        argv
    }
}

/// Where the run's files are, as options; the recipe may leave that to the command line.
fn output_of(run: &Run) -> Vec<OsString> {
    let mut argv = Vec::new();
    // In one word each, since a run may be called `-x`.
    for (option, value) in [("--output_dir=", run.folder.as_os_str()), ("--output_name=", run.name.as_ref())] {
        let mut word = OsString::from(option);
        word.push(value);
        argv.push(word);
    }
    argv
}

/// The places that a recipe names, as options.
fn places_of(recipe: &Recipe) -> Vec<OsString> {
    let mut argv: Vec<OsString> = vec!["--train_data_dir".into(), recipe.data.train_dir.clone().into()];
    if let Some(folder) = &recipe.data.reg_dir {
        argv.extend(["--reg_data_dir".into(), folder.into()]);
    }
    if let Checkpoint::File(path) = &recipe.model.checkpoint {
        argv.extend(["--pretrained_model_name_or_path".into(), path.into()]);
    }
    if let Some(path) = &recipe.model.vae {
        argv.extend(["--vae".into(), path.into()]);
    }
    argv
}

fn parsed(argv: &[OsString]) -> Result<Recipe> {
    match parse_train(argv) {
        Ok(parsed) => Ok(parsed.recipe),
        Err(ParseError::Unusable(problems)) => Err(problems.into()),
        Err(ParseError::Asked(text)) => Err(anyhow!(text)),
    }
}

/// Whether the file says that there were regularization images.
fn had_regularization(lora: &Path) -> bool {
    inspect(lora, false).is_ok_and(|report| report.folders.iter().any(|folder| folder.regularization))
}
