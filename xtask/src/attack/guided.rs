//! libFuzzer, which keeps the changed inputs that reach new paths, with AddressSanitizer. It needs a nightly toolchain and
//! a C++ compiler; without them the other attacks go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::fuzz::PATIENCE;
use super::readers::{READERS, Reader, Seeds};
use super::table::Row;

/// What `cargo fuzz` builds with: counters at every edge of the program's graph, and the operands of comparisons.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address --cfg fuzzing";
/// Named so that build scripts get no counters.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Most memory in MB: that of an image with as many pixels as are accepted, and AddressSanitizer's own.
const MEMORY: u32 = 6000;
/// Readers of prompts need crates that the program of libFuzzer is built without.
const UNKNOWN: [&str; 2] = ["prompt files", "picture texts"];

/// The program of `fuzz/`.
pub struct Fuzzer {
    program: PathBuf,
}

impl Fuzzer {
    /// Builds the program; `None` on systems that it is not for, or where something that it needs is missing.
    ///
    /// # Errors
    /// When the folder of the repository cannot be found.
    pub fn build(root: &Path) -> Result<Option<Self>> {
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            return Ok(None);
        }
        let nightly = Command::new("rustup").args(["run", "nightly", "rustc", "--version"]).output();
        if !nightly.is_ok_and(|output| output.status.success()) {
            println!("no nightly toolchain, so libFuzzer is left out");
            return Ok(None);
        }
        let target = fs::canonicalize(root)?.join("target/fuzz");
        let mut cargo = Command::new("rustup");
        cargo.args(["run", "nightly", "cargo", "build", "--release", "--target", TARGET, "--target-dir"]).arg(&target);
        // What cargo has set for this program would choose its toolchain and folder.
        cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("CARGO_TARGET_DIR").env("RUSTFLAGS", FLAGS);
        if !cargo.current_dir(root.join("fuzz")).status()?.success() {
            println!("fuzz/ does not build, so libFuzzer is left out");
            return Ok(None);
        }
        Ok(Some(Self { program: target.join(TARGET).join("release/lorabake-fuzz") }))
    }

    /// Attacks one reader after another, each format for itself, for `time` in all; bad inputs go to `folder`.
    ///
    /// # Errors
    /// When there are no good inputs, or libFuzzer does not start.
    pub fn run(&self, root: &Path, seed: u64, time: Duration, folder: &Path) -> Result<Vec<Row>> {
        let readers: Vec<&Reader> = READERS.iter().filter(|reader| !UNKNOWN.contains(&reader.name)).collect();
        let share = time / readers.len() as u32;
        let mut rows = Vec::new();
        for reader in readers {
            let formats = reader.seeds(root)?;
            let mut row = Row::new(&format!("+ {}", reader.name));
            let mut paths = 0;
            for seeds in &formats {
                let part = self.attack(reader, seeds, seed, share / formats.len() as u32, folder)?;
                row.tried += part.tried;
                row.crashes += part.crashes;
                row.most_memory = row.most_memory.max(part.most_memory);
                row.longest_ms = row.longest_ms.max(part.longest_ms);
                paths += part.paths;
            }
            row.remark = format!("{paths} inputs reached something new");
            println!("{}", row.line());
            rows.push(row);
        }
        Ok(rows)
    }

    fn attack(&self, reader: &Reader, seeds: &Seeds, seed: u64, time: Duration, folder: &Path) -> Result<Told> {
        let place = folder.join(format!("guided-{}-{}", reader.name.replace(' ', "-"), seeds.suffix));
        let good = place.join("good");
        let grown = place.join("grown");
        fs::create_dir_all(&good)?;
        fs::create_dir_all(&grown)?;
        for (index, bytes) in seeds.inputs.iter().enumerate() {
            fs::write(good.join(index.to_string()), bytes)?;
        }
        let mut command = Command::new(&self.program);
        command.env("LORABAKE_READER", reader.name);
        command.env("LORABAKE_FILE", place.join(format!("input.{}", seeds.suffix)));
        command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
        command.arg(format!("-timeout={}", PATIENCE.as_secs()));
        command.arg(format!("-rss_limit_mb={MEMORY}")).arg(format!("-seed={}", seed as u32));
        command.arg(format!("-artifact_prefix={}/", place.display()));
        command.args(["-print_final_stats=1", "-max_len=100000"]).arg(&grown).arg(&good);
        let output = command.current_dir(&place).stdin(Stdio::null()).output().context("libFuzzer does not start")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let broken = !output.status.success();
        if broken {
            for line in said.lines().filter(|line| is_telling(line)) {
                println!("    {line}");
            }
        }
        Ok(Told {
            tried: statistic(&said, "number_of_executed_units"),
            crashes: u64::from(broken),
            paths: statistic(&said, "new_units_added"),
            most_memory: statistic(&said, "peak_rss_mb") as usize * 1_000_000,
            longest_ms: 1000 * statistic(&said, "slowest_unit_time_sec"),
        })
    }
}

/// What libFuzzer says at its end.
struct Told {
    tried: u64,
    crashes: u64,
    paths: u64,
    most_memory: usize,
    longest_ms: u64,
}

/// Whether a line says what went wrong, or which file does it again.
fn is_telling(line: &str) -> bool {
    line.contains("panicked") || line.contains("ERROR") || line.contains("Test unit written to")
}

/// A number of libFuzzer's last lines, 0 if it is not there.
fn statistic(said: &str, name: &str) -> u64 {
    let line = said.lines().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name));
    line.and_then(|rest| rest.trim_start_matches(':').trim().parse().ok()).unwrap_or(0)
}
