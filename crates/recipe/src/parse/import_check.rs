//! What imported options still need to become a recipe.

use std::path::{Path, PathBuf};

use super::command_line::{ParseError, resolve};
use super::import::Imported;
use super::intake::Intake;
use crate::network::lycoris_preset::names_a_preset_file;
use crate::recipe::RawRecipe;
use crate::report::Problem;

/// What is missing in the imported options, and what is wrong with them. No file that they name is opened.
pub fn problems_of_import(imported: &Imported) -> Vec<Problem> {
    let mut intake = Intake::new(Vec::new());
    let mut raw = RawRecipe::default();
    intake.take_into(&imported.givens(Path::new("recipe")), &mut raw);
    if raw.data.dataset_config.take().is_some() && raw.data.train_data_dir.is_none() {
        raw.data.train_data_dir = Some(PathBuf::new());
    }
    if let Some(args) = &mut raw.network.network_args {
        args.retain(|pair| !names_a_preset_file(pair));
    }
    match resolve(intake, raw, None) {
        Err(ParseError::Unusable(problems)) => problems.0,
        _ => Vec::new(),
    }
}
