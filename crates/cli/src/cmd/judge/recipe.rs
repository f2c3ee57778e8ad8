//! The recipe of a run that is judged: a recipe file, or what the LoRA itself says and options that a file cannot.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use lorabake_judge::runs::Run;
use lorabake_recipe::import::import;
use lorabake_recipe::{ParseError, Recipe, parse_train};

/// Where the run's settings are found.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "The run's recipe")]
pub struct RecipeArgs {
    /// Recipe that the run was trained with. [default: what its LoRA says of itself]
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Folder that holds the `N_concept` folders of the training images, which a LoRA does not say.
    #[arg(long, value_name = "FOLDER")]
    pub train_data_dir: Option<PathBuf>,
    /// Checkpoint that it was trained on. [default: that of --config_file, or the small model inside the program]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub pretrained_model_name_or_path: Option<PathBuf>,
    /// VAE in the place of the checkpoint's.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub vae: Option<PathBuf>,
}

impl RecipeArgs {
    /// The recipe of `run`.
    ///
    /// # Errors
    /// When there is none, or what is wrong with it.
    pub fn recipe(&self, run: &Run) -> Result<Recipe> {
        let mut argv: Vec<OsString> = Vec::new();
        let kept = self.inside_lora(run)?;
        if let Some(path) = &self.config_file {
            argv.extend(["--config_file".into(), path.into()]);
        } else if let Some(file) = &kept {
            argv.extend(["--config_file".into(), file.path().into()]);
        }
        for (option, path) in [
            ("--train_data_dir", &self.train_data_dir),
            ("--pretrained_model_name_or_path", &self.pretrained_model_name_or_path),
            ("--vae", &self.vae),
        ] {
            if let Some(path) = path {
                argv.extend([option.into(), path.into()]);
            }
        }
        // What is only judged is written nowhere.
        argv.extend([
            "--output_dir".into(),
            run.folder.clone().into(),
            "--output_name".into(),
            run.name.clone().into(),
        ]);
        match parse_train(&argv) {
            Ok(parsed) => Ok(parsed.recipe),
            Err(ParseError::Unusable(problems)) => Err(problems.into()),
            Err(ParseError::Asked(text)) => Err(anyhow!(text)),
        }
    }

    /// The recipe inside the last LoRA, as a file; none where a recipe is given.
    fn inside_lora(&self, run: &Run) -> Result<Option<tempfile::NamedTempFile>> {
        if self.config_file.is_some() {
            return Ok(None);
        }
        if self.train_data_dir.is_none() {
            bail!("--config_file: give the recipe of the run, or its images by --train_data_dir");
        }
        let last = &run.snapshots.last().context("a run has snapshots")?.path;
        let imported = import(last).map_err(|problem| anyhow!("{problem}; give the run's recipe by --config_file"))?;
        let file = tempfile::Builder::new().suffix(".toml").tempfile()?;
        std::fs::write(file.path(), imported.to_toml())?;
        Ok(Some(file))
    }
}
