//! The commands of the program and their options, described once for clap. `--help`, the shell completions, the manual
//! pages and `docs/options.md` are all made from [`program`].

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, CommandFactory, FromArgMatches, Parser};
use lorabake_recipe::with_home;

use crate::cmd;
use crate::own_first::own_first;
use crate::words;

/// Bakes LoRAs for Stable Diffusion: a checkpoint and a folder of images in, a LoRA out.
#[derive(Parser)]
#[command(name = "lorabake", version, arg_required_else_help = true, max_term_width = 120)]
pub enum Command {
    /// Bake a LoRA from a folder of images, with the options of kohya's sd-scripts
    Train,
    /// Show what a recipe will do: steps, learning rates, memory, file size; trains nothing
    Plan,
    /// Write a recipe for your subject, each value with its reason
    Advise(cmd::advise::Args),
    /// Tell what is wrong with images, captions and tags before anything is trained
    Check(Box<cmd::check::Args>),
    /// Turn a preset of the kohya GUI or OneTrainer, or the settings inside a LoRA, into a recipe file
    Import(cmd::import::Args),
    /// Look at the tags of captions and change them, with undo: add, remove, replace, sort, consolidate
    Tags(Box<cmd::tags::Args>),
    /// Edit the images of a data set, with undo: crop, pad, remove borders, flatten transparency, make masks
    Images(Box<cmd::images::Args>),
    /// Show what a model or a LoRA is: family, blocks, ranks, training, tags, hashes
    Inspect(cmd::inspect::Args),
    /// Make pictures from prompts, with or without LoRAs
    Generate(Box<cmd::generate::Args>),
    /// Tell which snapshot of a run is the best, what is wrong with it, and what to change
    Judge(Box<cmd::judge::Args>),
    /// Make a grid of pictures that differ in two or three things: epochs, strengths, samplers, prompts and so on
    Grid(Box<cmd::grid::Args>),
    /// Make regularization images with the model that is trained from: of a class prompt, or one for each training image
    Reg(Box<cmd::reg::Args>),
    /// From one image to a LoRA: train a quick one, choose among its pictures, and again with them
    Gachamax(Box<cmd::gachamax::Args>),
    /// Write captions: the tags that a tagger (WD, JoyTag, cl_tagger, …) sees in each image
    Tag(Box<cmd::tag::Args>),
    /// Write where faces are into the names of images, for --face_crop_aug_range
    Faces(cmd::faces::Args),
    /// Merge LoRAs into a model, LoRAs with each other, or models with each other
    Merge(Box<cmd::merge::Args>),
    /// Give a LoRA another rank or file size, or make a plain LoRA of any other kind
    Resize(Box<cmd::resize::Args>),
    /// Distil the difference of two models into a LoRA
    Extract(Box<cmd::extract::Args>),
    /// Rename, split or scale a LoRA; turn a model into one pruned file
    Convert(Box<cmd::convert::Args>),
    /// Show what differs between two models or two LoRAs, block by block
    Diff(cmd::diff::Args),
    /// Change what a file says of itself: title, trigger words, description, cover
    Edit(Box<cmd::edit::Args>),
    /// Bake an example on the small model inside the program, and show the difference that it makes
    Demo(cmd::demo::Args),
    /// List the devices of this machine: whether they work, how fast they are, what fits into them
    Doctor(cmd::doctor::Args),
    /// Print a script that lets your shell complete commands and options
    Completions(cmd::completions::Args),
    /// Write manual pages into a folder
    #[command(hide = true)]
    Man(cmd::man::Args),
    /// Print all options of all commands as Markdown
    #[command(hide = true)]
    Options,
}

/// The whole program: every command with its options.
pub fn program() -> clap::Command {
    Command::command()
        .mut_subcommand("train", |_| lorabake_recipe::command().display_name("lorabake-train").display_order(0))
        .mut_subcommand("plan", |short| plan(&short))
        .mut_subcommands(|command| {
            let paints = ["generate", "grid"].contains(&command.get_name());
            let command = if paints { command.mut_args(with_negative_numbers) } else { command };
            with_home(command).mut_subcommands(with_home)
        })
}

/// A negative number is a value, so that a wrong one is told with the name of its option.
fn with_negative_numbers(arg: Arg) -> Arg {
    if arg.get_action().takes_values() { arg.allow_negative_numbers(true) } else { arg }
}

/// `lorabake plan` takes everything that `lorabake train` takes.
fn plan(short: &clap::Command) -> clap::Command {
    lorabake_recipe::command()
        .name("plan")
        .bin_name("lorabake plan")
        .display_name("lorabake-plan")
        .display_order(1)
        .about(short.get_about().cloned().unwrap_or_default())
        .override_usage("lorabake plan [RECIPE] [OPTIONS]")
}

/// What is wrong with a command line that begins with an option or a recipe, and not with a command; `argv` begins with
/// the program's name.
pub fn forgotten_command(argv: &[OsString]) -> Option<String> {
    let word = argv.get(1)?.to_str()?;
    if let Some(option) = word.strip_prefix("--") {
        let name = option.split('=').next().unwrap_or(option).replace('-', "_");
        let program = program();
        let has_it = |command: &&clap::Command| command.get_arguments().any(|arg| arg.get_long() == Some(&name));
        // Several commands take options of training.
        let train = program.get_subcommands().find(|command| command.get_name() == "train").filter(has_it);
        let command = train.or_else(|| program.get_subcommands().find(has_it))?.get_name().to_owned();
        return Some(format!("--{name}: it belongs to a command; begin with `lorabake {command}`"));
    }
    let suffix = Path::new(word).extension()?;
    let is_recipe = ["toml", "json"].iter().any(|known| suffix.eq_ignore_ascii_case(known));
    if is_recipe { Some(format!("{word}: it is no command; begin with `lorabake train {word}`")) } else { None }
}

/// The text of `lorabake plan --help`.
pub fn help_of_plan() -> String {
    let mut program = program();
    let plan = program.find_subcommand_mut("plan").expect("the program has this command");
    plan.render_help().to_string()
}

/// Reads the words of the command line, the program's name first.
///
/// # Errors
/// What clap has to say about them, or the help that they ask for.
pub fn read(argv: Vec<OsString>) -> Result<Command, clap::Error> {
    let argv: Vec<OsString> = with_subject(argv).into_iter().map(words::with_underscores).collect();
    let program = program();
    let argv = own_first(argv, &program);
    Command::from_arg_matches(&program.try_get_matches_from(argv)?)
}

/// Options of `train` may follow `lorabake demo` without a subject, which is penny then.
fn with_subject(mut argv: Vec<OsString>) -> Vec<OsString> {
    let is_demo = argv.get(1).is_some_and(|word| word == "demo");
    let option = argv.get(2).and_then(|word| word.to_str()).filter(|word| word.starts_with("--"));
    if is_demo && option.is_some_and(|word| word != "--help") {
        argv.insert(2, "penny".into());
    }
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demonstration_takes_options_without_a_subject() {
        let read = |line: &str| read(line.split(' ').map(OsString::from).collect());
        assert!(matches!(read("lorabake demo --max_train_epochs 1"), Ok(Command::Demo(_))));
        assert!(matches!(read("lorabake demo style --seed 1"), Ok(Command::Demo(_))));
        assert!(read("lorabake demo --help").is_err_and(|asked| !asked.use_stderr()));
    }

    #[test]
    fn every_option_and_every_command_has_a_text() {
        let mut program = program();
        program.build();
        for command in program.get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
        }
    }
}
