//! What is computed on a GPU, against the processor: operations, the VAE, recorded runs, and a bake from images to
//! file.
//!
//! It needs no GPU: Mesa's lavapipe plays one (Debian's package mesa-vulkan-drivers). This chore builds itself once
//! more with the feature `wgpu`, into a folder of its own, which takes some 25 minutes of one processor the first time.

mod bake;
mod operations;
mod vae;

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
    let operations = operations::agree(&opened.device);
    let vae = vae::agree(&opened.device)?;
    let baked = bake::agree(wanted, root)?;
    let recorded = conformance::run(&["--device", wanted].map(String::from), root)?;
    Ok(operations && vae && recorded && baked)
}

/// Runs this chore in a build that has GPUs.
fn built_again(args: &[String], root: &Path) -> Result<bool> {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--release", "--package", "xtask", "--features", "wgpu", "--target-dir"]);
    cargo.arg(root.join("target/gpu")).args(["--", "gpu-check"]).args(args).current_dir(root);
    // Debian's loader asks for it, and a container may have none.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        cargo.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    Ok(cargo.status().context("cargo does not start")?.success())
}
