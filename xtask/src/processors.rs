//! The tests of `ops` on processors that this machine is not: emulated, so that every path that is chosen at run time
//! has run.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// x86-64 processors by QEMU's names, and what is left of the vector instructions there.
const X86: [(&str, &str); 2] = [("Haswell", "AVX2 and FMA"), ("Nehalem", "SSE4.2")];
const ARM: &str = "aarch64-unknown-linux-gnu";
const REMEDY: &str =
    "on Debian: apt-get install qemu-user gcc-aarch64-linux-gnu; and rustup target add aarch64-unknown-linux-gnu";

/// Runs them one after the other; `true` if all pass.
///
/// # Errors
/// If cargo or QEMU does not start.
pub fn run(root: &Path) -> Result<bool> {
    let mut passed = true;
    if cfg!(target_arch = "x86_64") {
        let tests =
            built(Command::new("cargo").args(["test", "--release", "--workspace", "--no-run"]).current_dir(root))?;
        for (processor, has) in X86 {
            println!("{processor} ({has})");
            for test in &tests {
                passed &= succeeds(Command::new("qemu-x86_64").args(["-cpu", processor]).arg(test).current_dir(root))?;
            }
        }
    }
    println!("64-bit Arm (NEON)");
    let mut build = Command::new("cargo");
    build.args(["test", "--release", "--package", "lorabake-ops", "--no-run", "--target", ARM]).current_dir(root);
    build.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    for test in built(&mut build)? {
        passed &=
            succeeds(Command::new("qemu-aarch64").args(["-L", "/usr/aarch64-linux-gnu"]).arg(test).current_dir(root))?;
    }
    Ok(passed)
}

/// Builds tests, and returns those of `ops` as cargo names them.
fn built(cargo: &mut Command) -> Result<Vec<String>> {
    let output = cargo.output().context("cargo does not start")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the tests do not build ({REMEDY}):\n{told}");
    let paths =
        told.lines().filter_map(|line| line.trim().strip_prefix("Executable ")?.strip_suffix(')')?.split_once('('));
    let of_ops = |path: &&str| path.contains("lorabake_ops-") || path.contains("plain-");
    let tests: Vec<String> = paths.map(|(_, path)| path).filter(of_ops).map(str::to_string).collect();
    ensure!(tests.len() == 2, "cargo names {} tests of ops, where 2 are expected", tests.len());
    Ok(tests)
}

/// Whether a test passes; the emulator's warnings about features that no test needs are not shown.
fn succeeds(emulator: &mut Command) -> Result<bool> {
    let name = emulator.get_program().to_string_lossy().into_owned();
    let Ok(status) = emulator.stderr(Stdio::null()).status() else { bail!("{name} does not start ({REMEDY})") };
    Ok(status.success())
}
