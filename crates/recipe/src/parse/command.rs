//! The description of `lorabake train` for clap: its options in groups, with the texts of `--help`.
//!
//! clap knows names, types and texts only. Words are split in `argv.rs` and read one option at a time in `intake.rs`.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, Command};

use super::home::with_home;
use crate::recipe::RawRecipe;

/// Everything that follows `lorabake train`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(rename_all = "verbatim")]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) place: RawPlace,
    #[command(flatten)]
    pub(crate) recipe: RawRecipe,
}

/// Where the recipe itself is kept.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Recipe file", rename_all = "verbatim")]
pub(crate) struct RawPlace {
    /// Read options from a TOML file, or from a .json: with the same content, or a preset of the kohya GUI or OneTrainer;
    /// the command line wins over it. The suffix .toml may be left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Train as this LoRA was trained, going by the settings inside the .safetensors file; everything else that is
    /// given wins over them.
    #[arg(long, value_name = "FILE")]
    pub(crate) like: Option<PathBuf>,
    /// Begin with tried settings; everything else that is given wins over them. easy suits most characters with little
    /// effort, and learns by DAdaptAdam, or by Prodigy with --optimizer_type=Prodigy.
    #[arg(long, value_name = "easy")]
    pub(crate) preset: Option<String>,
    /// Write all options to the file that --config_file names, and stop.
    #[arg(long)]
    pub(crate) output_config: Option<bool>,
}

/// Whether an option says where the recipe is, and not what.
pub(crate) fn is_place(option: &str) -> bool {
    ["config_file", "output_config", "like", "preset"].contains(&option)
}

/// Texts that become part of a file's name.
const FILE_NAMES: [&str; 2] = ["output_name", "log_prefix"];

/// Whether the value of an option of `command` is a path, which its type says, or part of one.
pub(crate) fn names_a_file(command: &Command, option: &str) -> bool {
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(option));
    let is_path = arg.is_some_and(|arg| arg.get_value_parser().type_id() == TypeId::of::<PathBuf>());
    is_path || FILE_NAMES.contains(&option)
}

/// The description of `lorabake train` for clap: its options, in groups, with their texts.
pub fn command() -> Command {
    let command = Command::new("train")
        .bin_name("lorabake train")
        .display_name("lorabake train")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("lorabake train [RECIPE] --train_data_dir <FOLDER> --output_dir <FOLDER> [OPTIONS]")
        .arg(Arg::new("recipe").value_name("RECIPE").help("A recipe file; short for --config_file RECIPE"))
        .max_term_width(120);
    // Last, because the flattened groups would put their own comment in its place.
    let about = "Bake a LoRA from a folder of images. Options are those of kohya's sd-scripts.";
    let command = with_home(TrainArgs::augment_args(command).about(about));
    command.mut_args(|arg| {
        if arg.get_value_parser().type_id() == TypeId::of::<bool>() {
            let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            return arg.value_name("true|false").hide_possible_values(true);
        }
        if matches!(arg.get_action(), ArgAction::Append) { arg.num_args(0..) } else { arg }
    })
}

/// The text of `--help` or `--version`, if one of them is among the words.
pub(crate) fn help_or_version(argv: &[OsString]) -> Option<String> {
    let word = argv.iter().find(|word| ["-h", "--help", "-V", "--version"].iter().any(|asked| word == asked))?;
    let asked = command().try_get_matches_from([OsString::from("lorabake train"), word.clone()]).err()?;
    Some(asked.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left out of a stranger's recipe goes by the type, so the type has to be right.
    #[test]
    fn whatever_is_a_file_or_a_folder_has_the_type_of_a_path() {
        for arg in command().get_arguments().filter(|arg| arg.get_long().is_some()) {
            let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
            let is_called_so = names.iter().any(|name| name.contains("FILE") || name.contains("FOLDER"));
            let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            assert_eq!(is_path, is_called_so, "--{}", arg.get_id());
        }
    }
}
