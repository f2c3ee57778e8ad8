//! LLVM for building with `cuda` where the build may not fetch its own: Debian's packages, laid out as CubeCL's build script
//! (tracel-llvm-bundler) expects them.
//!
//! CubeCL compiles kernels for NVIDIA's cards with an LLVM that is linked into the program. Its build script fetches one
//! for itself, LLVM 23; Debian's 22 does for building and checking here, while releases are best built with the own one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Where Debian has it.
const DEBIAN: &str = "/usr/lib/llvm-22";
const PACKAGES: [&str; 3] = ["llvm-22-dev", "libpolly-22-dev", "libzstd-dev"];

/// Puts LLVM in place below `target/llvm`; installs Debian's packages if they are missing and the user may.
///
/// # Errors
/// If the system is not Debian's kind, or the packages cannot be installed.
pub fn run(root: &Path) -> Result<bool> {
    ensure!(
        cfg!(target_os = "linux"),
        "this is for Debian; elsewhere a build with --features lorabake/cuda fetches LLVM by itself"
    );
    if !Path::new(DEBIAN).join("bin/llvm-config").exists() {
        install()?;
    }
    let folder = folder(root)?;
    fs::create_dir_all(folder.join("bin"))?;
    for name in ["include", "lib"] {
        let link = folder.join(name);
        if !link.exists() {
            link_to(&Path::new(DEBIAN).join(name), &link)?;
        }
    }
    write_config(&folder.join("bin/llvm-config"))?;
    fs::write(folder.join(".tracel-llvm-installed"), "")?;
    let home = data_home(root).canonicalize()?;
    println!(
        "LLVM of {DEBIAN} is in place; cargo xtask release takes it. For other builds: XDG_DATA_HOME={}",
        home.display()
    );
    Ok(true)
}

/// The folder that `XDG_DATA_HOME` has to name for a build with `cuda`, if [`run`] has made one.
pub fn installed(root: &Path) -> Option<PathBuf> {
    let is_there = folder(root).is_ok_and(|folder| folder.join(".tracel-llvm-installed").exists());
    is_there.then(|| data_home(root))
}

fn data_home(root: &Path) -> PathBuf {
    root.join("target/llvm")
}

/// `tracel/tracel-llvm-VERSION`, the version being that of the locked bundler.
fn folder(root: &Path) -> Result<PathBuf> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    let lock: toml::Table = lock.parse().context("Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock: it has no packages")?;
    let name =
        |package: &&toml::Value| package.get("name").and_then(toml::Value::as_str) == Some("tracel-llvm-bundler");
    let bundler =
        packages.iter().find(name).context("Cargo.lock: no tracel-llvm-bundler; CubeCL builds otherwise now")?;
    let version = bundler.get("version").and_then(toml::Value::as_str).context("Cargo.lock: no version")?;
    Ok(data_home(root).join("tracel").join(format!("tracel-llvm-{version}")))
}

fn install() -> Result<()> {
    let command = format!("apt-get install --no-install-recommends {}", PACKAGES.join(" "));
    let mut apt = Command::new("apt-get");
    apt.args(["install", "--yes", "--no-install-recommends"]).args(PACKAGES);
    let done = apt.status().is_ok_and(|status| status.success());
    if !done || !Path::new(DEBIAN).join("bin/llvm-config").exists() {
        bail!("LLVM 22 is not there, and cannot be installed from here; as root: {command} (Debian 12 or newer)");
    }
    Ok(())
}

/// Debian's `llvm-config` names libz3 by its path, of which the build script would make `-llibz3`.
fn write_config(path: &Path) -> Result<()> {
    let script = format!("#!/bin/sh\nexec {DEBIAN}/bin/llvm-config \"$@\" | sed 's#/[^ ]*libz3\\.so##'\n");
    fs::write(path, script)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(unix)]
fn link_to(original: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(original, link).with_context(|| link.display().to_string())
}

#[cfg(not(unix))]
fn link_to(_: &Path, link: &Path) -> Result<()> {
    bail!("{}: no link can be made here", link.display())
}
