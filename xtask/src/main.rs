//! `cargo xtask`: the chores of this repository. Nothing here is part of the program that users get.

mod attack;
mod conformance;
mod conformance_gen;
mod conformance_tools;
mod cuda_llvm;
mod docs;
mod gpu_check;
mod judge_check;
mod kernels;
mod kernels_host;
mod licences;
mod mpi_check;
mod processors;
mod release;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

/// Something that `cargo xtask` does.
struct Chore {
    name: &'static str,
    /// What stands behind the name.
    takes: &'static str,
    about: &'static str,
    /// Whether all is well.
    run: fn(&[String]) -> Result<bool>,
}

const CHORES: [Chore; 15] = [
    Chore {
        name: "tidy",
        takes: "[--counts]",
        about: "checks the house rules of STYLE.md and ARCHITECTURE.md; --counts: how the code is written, in numbers",
        run: |args| tidy::run(args, &root()),
    },
    Chore {
        name: "conformance",
        takes: "[--device DEVICE] [--mixed_precision bf16|--fp8_base] [PACK]",
        about: "replays recorded training runs of sd-scripts; without PACK those in this repository",
        run: |args| conformance::run(args, &root()),
    },
    Chore {
        name: "conformance-gen",
        takes: "[DIR] [--models DIR]",
        about: "replays recorded behaviour of the web UI; without DIR what is in this repository",
        run: |args| conformance_gen::run(args, &root()),
    },
    Chore {
        name: "conformance-tools",
        takes: "DIR [--models DIR] [--only NAME]",
        about: "replays what other programs' tools for weights wrote: merges, resizing, extraction, conversion",
        run: |args| conformance_tools::run(args, &root()),
    },
    Chore {
        name: "docs",
        takes: "[--check]",
        about: "writes docs/options.md from the texts of --help",
        run: |args| docs::run(args, &root()),
    },
    Chore {
        name: "licences",
        takes: "",
        about: "checks licence and origin of all packages that a build may contain",
        run: |_| licences::run(&root()),
    },
    Chore {
        name: "gpu-check",
        takes: "[DEVICE]",
        about: "checks a GPU against the processor; Mesa's lavapipe serves for one",
        run: |args| gpu_check::run(args, &root()),
    },
    Chore {
        name: "mpi-check",
        takes: "",
        about: "checks two processes against one, and what happens when one is lost; needs Open MPI",
        run: |_| mpi_check::run(&root()),
    },
    Chore {
        name: "judge-check",
        takes: "[FOLDER] [--pictures] [--shown] [--tuning] [--made_only | --rules_only] [--only NAME] [--part PART]...",
        about: "judges good bakes and such as are spoilt on purpose, which takes most of an hour; the confusion matrix. \
                Parts: scale, controls, noise, advice, ablation",
        run: |args| judge_check::run(args, &root()),
    },
    Chore {
        name: "attack",
        takes: "[--minutes N] [--seed N] [--input READER FILE]",
        about: "tries to break readers and whole runs: changed files, kills, full disks, dead pipes",
        run: |args| attack::run(args, &root()),
    },
    Chore {
        name: "cuda-llvm",
        takes: "",
        about: "puts Debian's LLVM in place for building with the feature cuda without the internet",
        run: |_| cuda_llvm::run(&root()),
    },
    Chore {
        name: "kernels",
        takes: "[--all] [--only WORD]",
        about: "compiles the GPU kernels in kernels/ that have changed to PTX; makes itself a Python with Triton",
        run: |args| kernels::compile(args, &root()),
    },
    Chore {
        name: "kernels-check",
        takes: "[--part interpret|ptxas|current] [--only WORD] [--planted], or --part host [--write]",
        about: "checks the GPU kernels without a GPU: numbers, assembly, that the PTX is that of the sources, and what \
                lorabake would launch",
        run: |args| kernels::check(args, &root()),
    },
    Chore {
        name: "processors",
        takes: "",
        about: "tests the operations on emulated x86-64 without AVX-512 and on 64-bit Arm; needs QEMU",
        run: |_| processors::run(&root()),
    },
    Chore {
        name: "release",
        takes: "[FEATURES|none]",
        about: "builds and packs what this platform's release carries, and states its size",
        run: |args| release::run(args, &root()),
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = args.split_first() else { return usage("help") };
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else { return usage(name) };
    match (chore.run)(rest) {
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
    for Chore { name, takes, about, .. } in CHORES {
        println!("  {:<18} {about}", format!("{name} {takes}"));
    }
    if asked { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

/// The folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
