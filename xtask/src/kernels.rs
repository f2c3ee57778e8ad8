//! The GPU kernels in `kernels/`, which are Triton: compiled to the PTX that is committed, and checked without a GPU.
//!
//! Both are Python programs there. This makes them the environment that they need, once, beside the build's output, and
//! runs them. Who builds lorabake needs neither.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::kernels_host;

const REMEDY: &str = "on Debian: apt-get install python3-venv; PYTHON=… names another Python, of 3.11 or newer";

/// Compiles what has changed into `kernels/ptx`; `args` are those of `kernels/compile.py`.
///
/// # Errors
/// If there is no Python, or the packages cannot be had.
pub fn compile(args: &[String], root: &Path) -> Result<bool> {
    run("kernels/compile.py", args, root)
}

/// Checks numbers, assembly, that the PTX is that of the sources, and the host's side; `args` are those of
/// `kernels/check.py`, and `--part host`, which is a part of this program's, with `--write` or not.
///
/// # Errors
/// If there is no Python, the packages cannot be had, or `args` are not understood.
pub fn check(args: &[String], root: &Path) -> Result<bool> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let kernels_are_well = run("kernels/check.py", args, root)?;
            Ok(kernels_host::check(&environment(root)?, root, false)? && kernels_are_well)
        }
        ["--part", "host"] => kernels_host::check(&environment(root)?, root, false),
        ["--part", "host", "--write"] => kernels_host::check(&environment(root)?, root, true),
        ["--part", "host", other, ..] => bail!("`{other}` is not known with --part host; use --write, or nothing"),
        _ => run("kernels/check.py", args, root),
    }
}

/// Whether a program of ours says that all is well.
fn run(program: &str, args: &[String], root: &Path) -> Result<bool> {
    let python = environment(root)?;
    let mut command = Command::new(&python);
    let status = command.arg(program).args(args).current_dir(root).status();
    let status = status.with_context(|| format!("{} does not start", python.display()))?;
    Ok(status.success())
}

/// A Python with the packages of `kernels/requirements.txt`, made anew when that file has changed.
fn environment(root: &Path) -> Result<PathBuf> {
    ensure!(
        cfg!(target_os = "linux"),
        "Triton's packages are for Linux only; the compiled kernels in kernels/ptx are for all systems"
    );
    let wanted = fs::read_to_string(root.join("kernels/requirements.txt")).context("kernels/requirements.txt")?;
    let folder = std::path::absolute(root.join("target/kernels-venv"))?;
    let python = folder.join("bin/python");
    let made_of = folder.join("made-of.txt");
    let there = fs::read_to_string(&made_of).unwrap_or_default();
    if there == wanted && python.exists() {
        return Ok(python);
    }
    println!("making a Python environment in {}", folder.display());
    let system = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_string());
    succeed(Command::new(&system).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(root.join("kernels/requirements.txt"));
    succeed(&mut pip)?;
    fs::write(&made_of, wanted)?;
    Ok(python)
}

/// Runs a command that has to end well.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start ({REMEDY})"))?;
    ensure!(status.success(), "{command:?} fails ({REMEDY})");
    Ok(())
}
