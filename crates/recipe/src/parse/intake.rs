//! One option after another into a recipe, from wherever it comes: its words judged, its value read by clap.
//!
//! clap is asked for a single option at a time, so that every problem is found in one go and none of sd-scripts'
//! options is ignored.

use std::any::TypeId;
use std::error::Error;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Command, FromArgMatches};
use toml::Table;

use super::argv::Given;
use super::command::{RawPlace, TrainArgs, command, is_place};
use super::file_values::{self, WindowsPaths};
use super::home::NoHome;
use super::import::{self, Imported};
use super::other_options::{self, Verdict};
use super::{file, foreign_names, names, preset, table, text, words};
use crate::recipe::RawRecipe;
use crate::report::{Problem, Report};

/// Options on their way into a recipe, with the problems and notes about them.
pub(crate) struct Intake {
    command: Command,
    pub(crate) report: Report,
    /// What each `[[stage]]` of the recipe file says.
    pub(crate) stages: Vec<Vec<Given>>,
    /// Whether one of the files that hold options could not be read: nobody knows what it says.
    pub(crate) is_blind: bool,
    /// Options whose value is a path of Windows.
    pub(crate) of_windows: WindowsPaths,
}

/// The problem with a file or folder that is given as a recipe and should be given otherwise.
fn misplaced(path: &Path) -> Option<Problem> {
    let is_model =
        path.extension().is_some_and(|own| own.eq_ignore_ascii_case("safetensors") || own.eq_ignore_ascii_case("ckpt"));
    let remedy = if path.is_dir() {
        "give a folder of images with --train_data_dir"
    } else if is_model {
        "give a checkpoint with --pretrained_model_name_or_path, a LoRA with --like or --network_weights"
    } else {
        return None;
    };
    let what = format!("{} is no recipe file", path.display());
    Some(Problem { option: Some("config_file".to_owned()), what, remedy: remedy.to_owned(), file: None })
}

/// What `--config_file` and `--output_config` come to.
#[derive(Default)]
pub(crate) struct RecipeFile {
    pub(crate) options: Vec<Given>,
    /// The new file that is to be written.
    pub(crate) write_to: Option<PathBuf>,
}

impl Intake {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        let report = Report { problems, notes: Vec::new() };
        Self { command: command(), report, stages: Vec::new(), is_blind: false, of_windows: WindowsPaths::default() }
    }

    /// The options in `--config_file`, or the file that `--output_config` has to write.
    pub(crate) fn read_file(&mut self, place: &RawPlace) -> RecipeFile {
        let writes = place.output_config == Some(true);
        let Some(mut path) = place.config_file.clone() else {
            if writes {
                self.report.problem("output_config", "there is no file to write to", "name it with --config_file");
            }
            return RecipeFile::default();
        };
        let suffixes: &[&str] = if writes { &["toml"] } else { &["toml", "json"] };
        let named = path.clone();
        let has_suffix =
            path.extension().is_some_and(|own| suffixes.iter().any(|known| own.eq_ignore_ascii_case(known)));
        if !has_suffix {
            path.as_mut_os_string().push(".toml");
        }
        if writes {
            if path.exists() {
                let what = format!("{} exists already, and --output_config overwrites nothing", path.display());
                self.report.problem("config_file", what, "name another file, or delete that one");
            }
            return RecipeFile { options: Vec::new(), write_to: Some(path) };
        }
        match text::read(&path) {
            Ok(text) => RecipeFile { options: self.read_text(&text, &path), write_to: None },
            Err(unread) => {
                let problem = misplaced(&named);
                self.blinded(problem.unwrap_or_else(|| unread.problem_of_option("config_file", &path, "a TOML file")));
                RecipeFile::default()
            }
        }
    }

    /// A problem for which no more can be said of the recipe.
    pub(crate) fn blinded(&mut self, problem: Problem) {
        self.report.problems.push(problem);
        self.is_blind = true;
    }

    /// Puts options of a file into `recipe`.
    pub(crate) fn take_into(&mut self, options: &[Given], recipe: &mut RawRecipe) {
        let mut args = TrainArgs { place: RawPlace::default(), recipe: std::mem::take(recipe) };
        for given in options {
            self.take(given, &mut args);
        }
        *recipe = args.recipe;
    }

    /// The options in the text of a recipe file, or of another program's settings. What its stages say goes to
    /// `stages`.
    pub(crate) fn read_text(&mut self, text: &str, path: &Path) -> Vec<Given> {
        if table::is_json(text, path) {
            let json = table::json(text, path);
            match json.as_ref().ok().and_then(|json| import::of_json(json, path)) {
                Some(Ok(imported)) => return self.imported("config_file", imported, path),
                Some(Err(problem)) => {
                    self.blinded(problem);
                    return Vec::new();
                }
                None => {}
            }
            self.read_table(json.and_then(|json| table::of_json(json, path)), path)
        } else {
            self.read_table(table::of_toml(text, path), path)
        }
    }

    fn read_table(&mut self, table: Result<Table, Problem>, path: &Path) -> Vec<Given> {
        let table = match table {
            Ok(table) => table,
            Err(problem) => {
                self.blinded(problem);
                return Vec::new();
            }
        };
        if file::is_dataset_config(&table) {
            let what = "it is a data set config ([[datasets]]) and no recipe".to_owned();
            self.blinded(Problem::of_file(path, what, "give it with --dataset_config"));
            return Vec::new();
        }
        let stages = file::stages(&table, path);
        self.stages = stages.tables;
        self.report.problems.extend(stages.problems);
        let mut read = file::options(table, path);
        self.report.problems.append(&mut read.problems);
        for given in read.options.iter().filter(|given| is_place(&given.name)) {
            let problem = given.problem("it belongs on the command line", "leave it out of the file");
            self.report.problems.push(problem);
        }
        read.options.retain(|given| !is_place(&given.name));
        read.options
    }

    /// Another program's settings; what has no counterpart becomes a note.
    fn imported(&mut self, option: &str, imported: Imported, path: &Path) -> Vec<Given> {
        for line in imported.left_out_lines() {
            self.report.note(option, format!("{line} (left out of {})", path.display()));
        }
        imported.givens(path)
    }

    /// The settings of the LoRA that `--like` names, without those that `layers` overrule.
    pub(crate) fn like(&mut self, place: &RawPlace, layers: &[&[Given]]) -> Vec<Given> {
        let Some(path) = &place.like else { return Vec::new() };
        let explicit: Vec<&str> = layers.iter().copied().flatten().map(|given| given.name.as_str()).collect();
        let mut options = match import::import(path) {
            Ok(imported) => self.imported("like", imported, path),
            Err(problem) => {
                self.blinded(problem);
                return Vec::new();
            }
        };
        let has_other_optimizer = preset::overruled("optimizer_type", &explicit);
        options.retain(|given| {
            let is_of_other_optimizer = has_other_optimizer && given.name == "optimizer_args";
            !is_of_other_optimizer && !preset::overruled(&given.name, &explicit)
        });
        options
    }

    /// The settings of `--preset`, without those that `layers` overrule.
    pub(crate) fn preset(&mut self, place: &RawPlace, layers: &[&[Given]]) -> Vec<Given> {
        let Some(name) = &place.preset else { return Vec::new() };
        let explicit: Vec<&Given> = layers.iter().copied().flatten().collect();
        match preset::options(name, &explicit) {
            Ok(preset) => {
                self.report.notes.push(preset.note);
                preset.options
            }
            Err(problem) => {
                self.report.problems.push(problem);
                Vec::new()
            }
        }
    }

    /// Puts one option into `args`; a later one replaces an earlier one.
    pub(crate) fn take(&mut self, given: &Given, args: &mut TrainArgs) {
        if let Some(option) = foreign_names::taken(&given.name) {
            self.report.note(option, format!("{} is taken for it", given.name));
            return self.take(&Given { name: option.to_owned(), ..given.clone() }, args);
        }
        if let Some((given, note)) = file_values::tamed(given) {
            self.report.notes.push(note);
            return self.take(&given, args);
        }
        self.of_windows.note_down(given, &self.command);
        let read = match self.words(given) {
            Ok(Some(words)) => self.read(given, words, args),
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = read {
            self.report.problems.push(problem);
        }
    }

    /// The option in the one form that clap is shown; `None` if there is nothing to put into a recipe.
    fn words(&mut self, given: &Given) -> Result<Option<Vec<String>>, Problem> {
        let name = &given.name;
        let Some(arg) = self.command.get_arguments().find(|arg| arg.get_long() == Some(name)) else {
            return match other_options::classify(given) {
                Verdict::Unknown => Err(self.unknown(given)),
                Verdict::SwitchedOff => Ok(None),
                Verdict::NoEffect(note) => {
                    if !self.report.notes.contains(&note) {
                        self.report.notes.push(note);
                    }
                    Ok(None)
                }
                Verdict::Refused(problem) => Err(problem),
            };
        };
        let type_id = arg.get_value_parser().type_id();
        let is_text = type_id == TypeId::of::<String>() || type_id == TypeId::of::<PathBuf>();
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let is_flag = type_id == TypeId::of::<bool>();
        let long = format!("--{name}");
        let values = match (is_list, is_text) {
            (true, true) => words::listed_pairs(&given.values),
            (true, false) => words::listed_numbers(&given.values),
            (false, _) => given.values.clone(),
        };
        match values.as_slice() {
            [] if is_list || given.file.is_some() => Ok(None),
            [] if is_flag => Ok(Some(vec![long])),
            [] => Err(given.problem("its value is missing", format!("write --{name}=VALUE"))),
            [only] if only.is_empty() && is_text => Ok(None),
            [_] => Ok(Some(vec![format!("{long}={}", values[0])])),
            _ if is_list => Ok(Some(values.iter().map(|value| format!("{long}={value}")).collect())),
            _ if given.file.is_some() => Ok(Some(vec![format!("{long}={}", values.join(","))])),
            [first, ..] if is_flag => {
                Err(given.problem(format!("it takes no value, but `{first}` follows it"), "leave that word out"))
            }
            [first, second, ..] => {
                let what = format!("it takes one value, but `{second}` follows `{first}`");
                Err(given.problem(what, "put quotation marks around a value that contains spaces"))
            }
        }
    }

    fn read(&mut self, given: &Given, words: Vec<String>, args: &mut TrainArgs) -> Result<(), Problem> {
        let mut argv = vec!["lorabake train".to_owned()];
        argv.extend(words);
        let matches = self.command.try_get_matches_from_mut(argv);
        let read = matches.and_then(|matches| args.update_from_arg_matches(&matches));
        read.map_err(|error| self.misread(given, &error))
    }

    /// A value that is not of the option's type, in plain words.
    fn misread(&self, given: &Given, error: &clap::Error) -> Problem {
        let value = given.values.join(" ");
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(&given.name));
        let type_id = arg.map(|arg| arg.get_value_parser().type_id());
        let is_value = error.kind() == ErrorKind::ValueValidation;
        if let Some(NoHome { what, remedy }) = error.source().and_then(|source| source.downcast_ref()) {
            given.problem(what, remedy)
        } else if type_id.is_some_and(|id| id == TypeId::of::<bool>()) {
            let is_recipe = given.file.is_none() && value.ends_with(".toml");
            let name = &given.name;
            let remedy = match given.file {
                Some(_) => format!("write {name} = true, or {name} = false"),
                None if is_recipe => "name a recipe with --config_file".to_owned(),
                None => format!("write --{name} alone to switch it on, and leave it out otherwise"),
            };
            given.problem(format!("`{value}` is neither true nor false"), remedy)
        } else if is_value && type_id.is_some_and(|id| id == TypeId::of::<f64>()) {
            given.problem(format!("`{value}` is not a number"), "write for instance 0.0001 or 1e-4")
        } else if given.name == "seed" && value.trim().starts_with('-') {
            given.problem(format!("{} is no seed", value.trim()), "leave --seed out for a random one")
        } else if is_value && type_id.is_some_and(|id| id == TypeId::of::<u32>()) {
            given.problem(format!("`{value}` is not a whole number from 0 to 4294967295"), "write for instance 1")
        } else {
            given.problem(format!("`{value}` cannot be read"), "see --help")
        }
    }

    fn unknown(&self, given: &Given) -> Problem {
        let name = &given.name;
        let own = || self.command.get_arguments().filter_map(|arg| arg.get_long());
        let near = foreign_names::meant(name)
            .or_else(|| names::nearest_in(name, own().chain(other_options::names())))
            .or_else(|| names::beginning_with(name, own().chain(other_options::names())));
        let remedy = match (near, foreign_names::advice(given)) {
            (Some(near), _) if given.file.is_some() => format!("did you mean {near}?"),
            (Some(near), _) => format!("did you mean --{near}?"),
            (None, Some(advice)) => return given.problem("there is no such option", advice),
            (None, None) => "look in --help for what does the same, or leave it out".to_owned(),
        };
        given.problem("neither lorabake nor sd-scripts knows this option", remedy)
    }
}
