//! From a command line, with or without a recipe file, to a resolved recipe.
//!
//! clap describes the options (`--help`, types); the words are split and judged here, one option at a time, so that
//! every problem is found in one go and none of sd-scripts' options is ignored.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Command, FromArgMatches};

use crate::argv::{self, Given};
use crate::report::{Note, Problem, Problems, Report};
use crate::stages;
use crate::{RawRecipe, Recipe, easy, file, foreign, import, names};

/// Everything that follows `lorabake train`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(rename_all = "verbatim")]
struct TrainArgs {
    #[command(flatten)]
    place: RawPlace,
    #[command(flatten)]
    recipe: RawRecipe,
}

/// Where the recipe itself is kept.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Recipe file", rename_all = "verbatim")]
struct RawPlace {
    /// Read options from a TOML file, or from the .json of a kohya GUI or OneTrainer preset; the command line wins over
    /// it. The suffix .toml may be left out.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Train as this LoRA was trained, going by the settings inside the .safetensors file; everything else that is
    /// given wins over them.
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// Begin with tried settings; everything else that is given wins over them. easy suits most characters with little
    /// effort, and learns by DAdaptAdam, or by Prodigy with --optimizer_type=Prodigy.
    #[arg(long, value_name = "easy")]
    preset: Option<String>,
    /// Write all options to the file that --config_file names, and stop.
    #[arg(long)]
    output_config: Option<bool>,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// The options as they were given.
    pub raw: RawRecipe,
    /// What they mean.
    pub recipe: Recipe,
    /// What the user should know before training starts, in the order of the sections.
    pub notes: Vec<Note>,
    /// `--output_config`: write `recipe.to_toml()` to this new file instead of training.
    pub write_to: Option<PathBuf>,
}

/// Why there is nothing to train.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ParseError {
    /// `--help` or `--version`: the text that was asked for, to be printed as it is.
    #[error("{0}")]
    Asked(String),
    /// The recipe cannot be used.
    #[error("{0}\nAll options are explained by: lorabake train --help")]
    Unusable(Problems),
}

impl ParseError {
    /// The exit code of the program: 0 for a text that was asked for, 2 for an unusable recipe.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Asked(_) => 0,
            Self::Unusable(_) => 2,
        }
    }
}

/// Reads, merges and resolves what follows `lorabake train`, all problems at once.
///
/// # Errors
/// The text of `--help` or `--version` where one was asked for, else every problem of the command line and its file.
pub fn parse_train(argv: &[OsString]) -> Result<Parsed, ParseError> {
    parse_stage(argv, 0).map(|(parsed, _)| parsed)
}

/// As [`parse_train`], with what the recipe's stage `index` says; and what the stages say for themselves.
pub(crate) fn parse_stage(argv: &[OsString], index: usize) -> Result<(Parsed, Vec<Vec<Given>>), ParseError> {
    if let Some(text) = asked_for(argv) {
        return Err(ParseError::Asked(text));
    }
    let (options, problems) = argv::split(argv);
    let mut intake = Intake::new(problems);
    let mut args = TrainArgs::default();
    let (place, line): (Vec<Given>, Vec<Given>) = options.into_iter().partition(is_place);
    place.iter().for_each(|given| intake.take(given, &mut args));
    let (mut file, write_to) = intake.read_file(&args.place);
    if let Some(own) = intake.stages.get(index) {
        stages::overlay(&mut file, own);
    }
    let model = intake.model(&args.place, &[&file, &line]);
    let preset = intake.preset(&args.place, &[&model, &file, &line]);
    for given in [&preset, &model, &file, &line].into_iter().flatten() {
        intake.take(given, &mut args);
    }
    let stages = std::mem::take(&mut intake.stages);
    intake.resolve(args.recipe, write_to).map(|parsed| (parsed, stages))
}

/// Whether an option says where the recipe is, and not what.
fn is_place(given: &Given) -> bool {
    ["config_file", "output_config", "like", "preset"].contains(&given.name.as_str())
}

/// Reads and resolves the text of a recipe file, for instance the one that is kept in a LoRA's metadata; `path` serves
/// the messages only.
///
/// # Errors
/// Every problem of the recipe.
pub fn parse_toml(text: &str, path: &Path) -> Result<Parsed, ParseError> {
    let mut intake = Intake::new(Vec::new());
    let mut args = TrainArgs::default();
    let options = intake.read_text(text, path);
    options.iter().for_each(|given| intake.take(given, &mut args));
    intake.resolve(args.recipe, None)
}

/// The description of `lorabake train` for clap: its options, in groups, with their texts.
pub fn command() -> Command {
    let command = Command::new("train")
        .bin_name("lorabake train")
        .display_name("lorabake train")
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("lorabake train --train_data_dir <FOLDER> --output_dir <FOLDER> [OPTIONS]")
        .max_term_width(120);
    // Last, because the flattened groups would put their own comment in its place.
    let about = "Bake a LoRA from a folder of images. Options are those of kohya's sd-scripts.";
    TrainArgs::augment_args(command).about(about).mut_args(|arg| {
        if arg.get_value_parser().type_id() == TypeId::of::<bool>() {
            let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            return arg.value_name("true|false").hide_possible_values(true);
        }
        if matches!(arg.get_action(), ArgAction::Append) { arg.num_args(0..) } else { arg }
    })
}

fn asked_for(argv: &[OsString]) -> Option<String> {
    let word = argv.iter().find(|word| ["-h", "--help", "-V", "--version"].iter().any(|asked| word == asked))?;
    let asked = command().try_get_matches_from([OsString::from("lorabake train"), word.clone()]).err()?;
    Some(asked.to_string())
}

/// Options on their way into a recipe, and what there is to say about them.
pub(crate) struct Intake {
    command: Command,
    pub(crate) report: Report,
    /// What each `[[stage]]` of the recipe file says.
    stages: Vec<Vec<Given>>,
}

impl Intake {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { command: command(), report: Report { problems, notes: Vec::new() }, stages: Vec::new() }
    }

    /// The options in `--config_file`, or the file that `--output_config` has to write.
    fn read_file(&mut self, place: &RawPlace) -> (Vec<Given>, Option<PathBuf>) {
        let writes = place.output_config == Some(true);
        let Some(mut path) = place.config_file.clone() else {
            if writes {
                self.report.problem("output_config", "there is no file to write to", "name it with --config_file");
            }
            return (Vec::new(), None);
        };
        if !writes && path.extension().is_some_and(|suffix| suffix == "json") {
            return (self.import("config_file", &path), None);
        }
        if path.extension().is_none_or(|suffix| suffix != "toml") {
            path.as_mut_os_string().push(".toml");
        }
        if writes {
            if path.exists() {
                let what = format!("{} exists already, and --output_config overwrites nothing", path.display());
                self.report.problem("config_file", what, "name another file, or delete that one");
            }
            return (Vec::new(), Some(path));
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let (stages, problems) = file::stages(&text, &path);
                self.stages = stages;
                self.report.problems.extend(problems);
                return (self.read_text(&text, &path), None);
            }
            Err(error) => {
                let what = format!("{} cannot be read ({error})", path.display());
                self.report.problem("config_file", what, "name a TOML file that exists");
            }
        }
        (Vec::new(), None)
    }

    /// Puts options of a file into `recipe`.
    pub(crate) fn take_into(&mut self, options: &[Given], recipe: &mut RawRecipe) {
        let mut args = TrainArgs { place: RawPlace::default(), recipe: std::mem::take(recipe) };
        options.iter().for_each(|given| self.take(given, &mut args));
        *recipe = args.recipe;
    }

    fn read_text(&mut self, text: &str, path: &Path) -> Vec<Given> {
        let (options, problems) = file::options(text, path);
        self.report.problems.extend(problems);
        let (place, options): (Vec<Given>, Vec<Given>) = options.into_iter().partition(is_place);
        let misplaced =
            place.iter().map(|given| given.problem("it belongs on the command line", "leave it out of the file"));
        self.report.problems.extend(misplaced);
        options
    }

    /// Another program's settings; what has no counterpart is told.
    fn import(&mut self, option: &str, path: &Path) -> Vec<Given> {
        match import::import(path) {
            Ok(imported) => {
                for line in imported.told() {
                    self.report.note(option, format!("{line} (left out of {})", path.display()));
                }
                imported.givens(path)
            }
            Err(problem) => {
                self.report.problems.push(problem);
                Vec::new()
            }
        }
    }

    /// The settings of the LoRA that `--like` names, without those that `layers` overrule.
    fn model(&mut self, place: &RawPlace, layers: &[&[Given]]) -> Vec<Given> {
        let Some(path) = &place.like else { return Vec::new() };
        let explicit: Vec<&str> =
            layers.iter().flat_map(|layer| layer.iter()).map(|given| given.name.as_str()).collect();
        let kept = self.import("like", path).into_iter().filter(|given| {
            let of_other_optimizer = given.name == "optimizer_args" && easy::overruled("optimizer_type", &explicit);
            !of_other_optimizer && !easy::overruled(&given.name, &explicit)
        });
        kept.collect()
    }

    /// The settings of `--preset`, without those that `layers` overrule.
    fn preset(&mut self, place: &RawPlace, layers: &[&[Given]]) -> Vec<Given> {
        let Some(name) = &place.preset else { return Vec::new() };
        let explicit: Vec<&Given> = layers.iter().flat_map(|layer| layer.iter()).collect();
        match easy::options(name, &explicit) {
            Ok((options, note)) => {
                self.report.notes.push(note);
                options
            }
            Err(problem) => {
                self.report.problems.push(problem);
                Vec::new()
            }
        }
    }

    /// Puts one option into `args`; a later one replaces an earlier one.
    fn take(&mut self, given: &Given, args: &mut TrainArgs) {
        let taken = match self.words(given) {
            Ok(Some(words)) => self.read(given, words, args),
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        };
        self.report.problems.extend(taken.err());
    }

    /// The option in the one form that clap is shown; `None` if there is nothing to put into a recipe.
    fn words(&mut self, given: &Given) -> Result<Option<Vec<String>>, Problem> {
        let Given { name, values, .. } = given;
        let Some(arg) = self.command.get_arguments().find(|arg| arg.get_long() == Some(name)) else {
            let note = foreign::judge(given).unwrap_or_else(|| Err(self.unknown(given)))?;
            self.report.notes.extend(note.filter(|note| !self.report.notes.contains(note)));
            return Ok(None);
        };
        let is_text =
            [TypeId::of::<String>(), TypeId::of::<PathBuf>()].iter().any(|id| arg.get_value_parser().type_id() == *id);
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let is_flag = arg.get_value_parser().type_id() == TypeId::of::<bool>();
        let long = format!("--{name}");
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
        let argv = std::iter::once("lorabake train".to_owned()).chain(words);
        let read =
            self.command.try_get_matches_from_mut(argv).and_then(|matches| args.update_from_arg_matches(&matches));
        read.map_err(|error| self.misread(given, &error))
    }

    /// A value that is not of the option's type, in plain words.
    fn misread(&self, given: &Given, error: &clap::Error) -> Problem {
        let value = given.values.join(" ");
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(&given.name));
        let id = arg.map(|arg| arg.get_value_parser().type_id());
        let is = |wanted: TypeId| id.is_some_and(|id| id == wanted);
        match error.kind() {
            _ if is(TypeId::of::<bool>()) => {
                given.problem(format!("`{value}` is neither true nor false"), "leave it out")
            }
            ErrorKind::ValueValidation if is(TypeId::of::<f64>()) => {
                given.problem(format!("`{value}` is not a number"), "write for instance 0.0001 or 1e-4")
            }
            ErrorKind::ValueValidation if is(TypeId::of::<u32>()) => {
                given.problem(format!("`{value}` is not a whole number from 0 to 4294967295"), "write for instance 1")
            }
            _ => given.problem(format!("`{value}` cannot be read"), "see --help"),
        }
    }

    fn unknown(&self, given: &Given) -> Problem {
        let own = self.command.get_arguments().filter_map(|arg| arg.get_long());
        let remedy = match names::nearest(&given.name, own.chain(foreign::names())) {
            Some(name) if given.file.is_some() => format!("did you mean {name}?"),
            Some(name) => format!("did you mean --{name}?"),
            None => "leave it out".to_owned(),
        };
        given.problem("neither lorabake nor sd-scripts knows this option", remedy)
    }

    /// Resolves what was taken. What an unreadable option might have said is not complained about a second time.
    fn resolve(mut self, raw: RawRecipe, write_to: Option<PathBuf>) -> Result<Parsed, ParseError> {
        let known: Vec<Problem> = std::mem::take(&mut self.report.problems);
        let recipe = raw.resolve_into(&mut self.report);
        let told = |option: &str| {
            let meant = format!("{option}?");
            known.iter().any(|problem| problem.option.as_deref() == Some(option) || problem.remedy.contains(&meant))
        };
        let new = self.report.problems.into_iter().filter(|problem| !problem.option.as_deref().is_some_and(told));
        let problems: Vec<Problem> = known.iter().cloned().chain(new).collect();
        if !problems.is_empty() {
            return Err(ParseError::Unusable(Problems(problems)));
        }
        Ok(Parsed { raw, recipe, notes: self.report.notes, write_to })
    }
}
