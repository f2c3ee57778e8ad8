//! What is computed on a GPU, against the processor: `lorabake doctor --thorough` and the recorded runs of sd-scripts.
//!
//! It needs no GPU: Mesa's lavapipe plays one (Debian's package mesa-vulkan-drivers). This chore builds itself and the
//! program once more with the feature `wgpu`, into a folder of its own, which takes some 25 minutes of one processor the
//! first time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use lorabake_device::{built_in, is_host, open};
use lorabake_recipe::train::device::Device as Wanted;

use crate::conformance;

/// Checks the device in `args`, or `wgpu`; `true` if all agrees.
///
/// # Errors
/// If the device is not there, or a check cannot be run.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    if built_in().is_empty() {
        return built_again(args, root);
    }
    let wanted = args.first().map_or("wgpu", String::as_str);
    let opened = open(wanted.parse::<Wanted>().map_err(anyhow::Error::msg)?)?;
    opened.notes.iter().for_each(|note| println!("{note}"));
    if is_host(&opened.device) {
        bail!("there is no GPU to check; on Debian, apt-get install mesa-vulkan-drivers brings a software one");
    }
    let program = std::env::current_exe()?.with_file_name(format!("lorabake{}", std::env::consts::EXE_SUFFIX));
    let doctor = Command::new(&program).args(["doctor", "--thorough", "--device", wanted]).status();
    let agrees = doctor.with_context(|| program.display().to_string())?.success();
    let recorded = conformance::run(&["--device", wanted].map(String::from), root)?;
    Ok(agrees && recorded)
}

/// Runs this chore in a build that has GPUs.
fn built_again(args: &[String], root: &Path) -> Result<bool> {
    let folder = root.join("target/gpu");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--package", "xtask", "--package", "lorabake"]);
    build.args(["--features", "xtask/wgpu,lorabake/wgpu", "--target-dir"]).arg(&folder).current_dir(root);
    if !build.status().context("cargo does not start")?.success() {
        bail!("the program does not build with `wgpu`");
    }
    let mut again = Command::new(folder.join("release").join(format!("xtask{}", std::env::consts::EXE_SUFFIX)));
    again.arg("gpu-check").args(args).current_dir(root);
    // Debian's loader asks for it, and a container may have none.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        again.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    Ok(again.status().context("the chore does not start")?.success())
}
