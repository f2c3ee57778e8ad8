//! The program `lorabake`: reads the command line, hands it to one of the commands, and prints how it ended.

// Text leaves the program through `terminal` only.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod bake;
mod blocks;
mod cmd {
    pub mod advise;
    pub mod check;
    pub mod completions;
    pub mod convert;
    pub mod demo;
    pub mod diff;
    pub mod doctor;
    pub mod edit;
    pub mod extract;
    pub mod faces;
    pub mod gachamax;
    pub mod generate;
    pub mod grid;
    pub mod images;
    pub mod import;
    pub mod inspect;
    pub mod judge;
    pub mod man;
    pub mod merge;
    pub mod plan;
    pub mod reg;
    pub mod resize;
    pub mod tag;
    pub mod tags;
    pub mod train;
}
mod command;
mod dataset_words;
mod detector;
mod errors;
mod graph;
mod held_folder;
mod jsonl;
mod judging;
mod memory;
mod option_reference;
mod own_first;
mod paint;
mod picture_args;
mod progress;
mod report_place;
mod stop;
mod surgery_args;
mod tensorboard;
mod terminal;
mod told;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use command::Command;

#[global_allocator]
static ALLOCATOR: memory::Advising = memory::Advising;

/// Commands whose results are files of their own, so that a report that is lost is no failure.
const MAKE_FILES: &[&str] = &[
    "train", "generate", "grid", "judge", "demo", "reg", "gachamax", "tag", "faces", "merge", "resize", "extract",
    "convert", "edit",
];

/// Commands that take each tensor of a file once: what they free goes back to the system, since kept for the next tensor it
/// would grow into gigabytes between the small things that stay.
const ON_FILES: &[&str] = &["merge", "resize", "extract", "convert", "diff", "edit", "inspect"];

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
    #[cfg(feature = "cuda")]
    match lorabake_device::libdevice_folder() {
        // SAFETY: as above.
        Ok(Some(folder)) => unsafe { std::env::set_var("CUDA_PATH", folder) },
        Ok(None) => {}
        Err(problem) => terminal::say(&format!("note: {problem}")),
    }
}

/// Makes a limit on the size of files (`ulimit -f`) an error of the write, as a full disk is; else it ends the program, and
/// what was trained is lost.
#[cfg(unix)]
fn survive_file_size_limit() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: no handler of ours runs. Where it cannot be set the limit ends the program, as before.
    let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
}

fn main() -> ExitCode {
    terminal::tell_panics();
    #[cfg(unix)]
    survive_file_size_limit();
    let argv: Vec<OsString> = std::env::args_os().collect();
    if !argv.get(1).is_some_and(|word| ON_FILES.iter().any(|command| word == command)) {
        lorabake_device::keep_memory();
    }
    prepare_for_gpus();
    let makes_files = argv.get(1).is_some_and(|word| MAKE_FILES.iter().any(|command| word == command));
    let done = if argv.get(1).is_some_and(|word| word == "train") {
        // Its options are judged by the recipe, all at once, and not by clap.
        cmd::train::run(&argv[2..])
    } else if argv.get(1).is_some_and(|word| word == "plan") {
        cmd::plan::run(&argv[2..])
    } else if let Some(problem) = command::forgotten_command(&argv) {
        terminal::say(&format!("error: {problem}"));
        return ExitCode::from(2);
    } else {
        match command::read(argv) {
            Ok(Command::Generate(args)) => cmd::generate::run(&args),
            Ok(Command::Grid(args)) => cmd::grid::run(&args),
            Ok(Command::Advise(args)) => cmd::advise::run(&args),
            Ok(Command::Check(args)) => cmd::check::run(&args),
            Ok(Command::Import(args)) => cmd::import::run(&args),
            Ok(Command::Inspect(args)) => cmd::inspect::run(&args),
            Ok(Command::Judge(args)) => cmd::judge::run(&args),
            Ok(Command::Reg(args)) => cmd::reg::run(&args),
            Ok(Command::Gachamax(args)) => cmd::gachamax::run(&args),
            Ok(Command::Tag(args)) => cmd::tag::run(&args),
            Ok(Command::Faces(args)) => cmd::faces::run(&args),
            Ok(Command::Merge(args)) => cmd::merge::run(&args),
            Ok(Command::Resize(args)) => cmd::resize::run(&args),
            Ok(Command::Extract(args)) => cmd::extract::run(&args),
            Ok(Command::Convert(args)) => cmd::convert::run(&args),
            Ok(Command::Diff(args)) => cmd::diff::run(&args),
            Ok(Command::Edit(args)) => cmd::edit::run(&args),
            Ok(Command::Tags(args)) => cmd::tags::run(&args),
            Ok(Command::Images(args)) => cmd::images::run(&args),
            Ok(Command::Demo(args)) => cmd::demo::run(&args),
            Ok(Command::Doctor(args)) => cmd::doctor::run(&args),
            Ok(Command::Completions(args)) => cmd::completions::run(&args),
            Ok(Command::Man(args)) => cmd::man::run(&args),
            Ok(Command::Options) => option_reference::run(),
            Ok(Command::Train | Command::Plan) => unreachable!("these two are taken before"),
            Err(error) => return errors::refuse(&error),
        }
    };
    match done {
        // A report that is not whole is a failure; what was trained or painted is in its own file.
        Ok(ExitCode::SUCCESS) if terminal::lost() && !makes_files => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            errors::tell(&error);
            ExitCode::FAILURE
        }
    }
}
