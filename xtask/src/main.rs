//! `cargo xtask`: the chores of this repository. Nothing here is part of the program that users get.

mod conformance;
mod gpu_check;
mod licences;
mod mpi_check;
mod processors;
mod release;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

/// A chore: its name, what it takes, what it does, and the function that returns whether all is well.
type Chore = (&'static str, &'static str, &'static str, fn(&[String]) -> Result<bool>);

const CHORES: [Chore; 7] = [
    (
        "tidy",
        "[--counts]",
        "checks the house rules of STYLE.md and ARCHITECTURE.md; --counts: how the code is written",
        |args| tidy::run(args, &root()),
    ),
    (
        "conformance",
        "[--device DEVICE] [--mixed_precision bf16|--fp8_base] [PACK]",
        "replays recorded training runs of sd-scripts; without PACK those in this repository",
        |args| conformance::run(args, &root()),
    ),
    ("licences", "", "checks licence and origin of all packages that a build may contain", |_| licences::run(&root())),
    ("gpu-check", "[DEVICE]", "checks a GPU against the processor; Mesa's lavapipe serves for one", |args| {
        gpu_check::run(args, &root())
    }),
    ("mpi-check", "", "checks two processes against one, and what happens when one is lost; needs Open MPI", |_| {
        mpi_check::run(&root())
    }),
    ("processors", "", "tests the operations on emulated x86-64 without AVX-512 and on 64-bit Arm; needs QEMU", |_| {
        processors::run(&root())
    }),
    (
        "release",
        "[FEATURES|none]",
        "builds and packs what this platform's release carries, and states its size",
        |args| release::run(args, &root()),
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = args.split_first().map_or(("help", &[][..]), |(name, rest)| (name.as_str(), rest));
    let Some((.., chore)) = CHORES.iter().find(|(known, ..)| *known == name) else {
        return usage(name);
    };
    match chore(rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Prints the chores; asking for them is no failure.
fn usage(name: &str) -> ExitCode {
    let asked = ["help", "-h", "--help"].contains(&name);
    if !asked {
        eprintln!("there is no chore called `{name}`\n");
    }
    println!("cargo xtask COMMAND\n");
    for (name, takes, about, _) in CHORES {
        println!("  {:<18} {about}", format!("{name} {takes}"));
    }
    if asked { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

/// The folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
