//! The program `lorabake`: reads the command line, hands it to one of the commands, and prints how it ended.

mod bake;
mod blocks;
mod cmd {
    pub mod advise;
    pub mod demo;
    pub mod doctor;
    pub mod generate;
    pub mod import;
    pub mod inspect;
    pub mod plan;
    pub mod train;
}
mod dataset_words;
mod graph;
mod grid;
mod jsonl;
mod memory;
mod paint;
mod picture_file;
mod progress;
mod tensorboard;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

#[global_allocator]
static ALLOCATOR: memory::Advising = memory::Advising;

/// Bakes LoRAs for Stable Diffusion: a checkpoint and a folder of images in, a LoRA out.
#[derive(Parser)]
#[command(name = "lorabake", version, arg_required_else_help = true, max_term_width = 120)]
enum Command {
    /// Bake a LoRA from a folder of images, with the options of kohya's sd-scripts
    Train,
    /// Show what a recipe will do: steps, learning rates, memory, file size; trains nothing
    Plan,
    /// Write a recipe for your subject, each value with its reason
    Advise(cmd::advise::Args),
    /// Turn a preset of the kohya GUI or OneTrainer, or the settings inside a LoRA, into a recipe file
    Import(cmd::import::Args),
    /// Tell what a model or a LoRA is: family, blocks, ranks, training, tags, hashes
    Inspect(cmd::inspect::Args),
    /// Make pictures from prompts, with or without LoRAs
    Generate(Box<cmd::generate::Args>),
    /// Bake an example on the small model inside the program, and show the difference that it makes
    Demo(cmd::demo::Args),
    /// List the devices of this machine: whether they work, how fast they are, what fits into them
    Doctor(cmd::doctor::Args),
}

/// Lets GPUs be tried out by another process of this program, and keeps their drivers from complaining about a folder
/// that a server or a container lacks.
fn prepare_for_gpus() {
    if lorabake_device::built_in().is_empty() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        lorabake_device::tried_by(program);
    }
    if cfg!(unix) && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread has been started that could read the environment meanwhile.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

fn main() -> ExitCode {
    lorabake_device::keep_memory();
    prepare_for_gpus();
    let argv: Vec<OsString> = std::env::args_os().collect();
    let done = if argv.get(1).is_some_and(|word| word == "train") {
        // Its options are judged by the recipe, all at once, and not by clap.
        cmd::train::run(&argv[2..])
    } else if argv.get(1).is_some_and(|word| word == "plan") {
        cmd::plan::run(&argv[2..])
    } else {
        match read(argv) {
            Ok(Command::Generate(args)) => cmd::generate::run(&args),
            Ok(Command::Advise(args)) => cmd::advise::run(&args),
            Ok(Command::Import(args)) => cmd::import::run(&args),
            Ok(Command::Inspect(args)) => cmd::inspect::run(&args),
            Ok(Command::Demo(args)) => cmd::demo::run(&args),
            Ok(Command::Doctor(args)) => cmd::doctor::run(&args),
            Ok(Command::Train | Command::Plan) => unreachable!("these two are taken before"),
            Err(error) => return words::refuse(&error),
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", words::chain(&error));
        ExitCode::FAILURE
    })
}

fn read(argv: Vec<OsString>) -> Result<Command, clap::Error> {
    let argv = argv.into_iter().map(words::with_underscores);
    let help = Command::command().mut_subcommand("train", |_| lorabake_recipe::command().display_order(0));
    Command::from_arg_matches(&help.try_get_matches_from(argv)?)
}
