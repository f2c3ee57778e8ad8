//! `lorabake doctor`: the devices of this machine, whether they work, how fast they are, and what fits into them.

use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::device::Kind;
use lorabake_train::devices::{self, Found, Trial, expectation, open, processor};

use crate::words;

/// The options; their comments are the texts of `--help`.
#[derive(clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {}

/// Prints what there is.
///
/// # Errors
/// None so far: what does not work is what it tells.
pub fn run(_: &Args) -> Result<ExitCode> {
    let mut lines = vec![format!("lorabake {}", env!("CARGO_PKG_VERSION"))];
    let host = processor();
    lines.push(format!("cpu: {}; {} threads; {}", host.name, host.threads, host.instructions));
    lines.push(format!("  {}", told(devices::try_out(&host.device))));
    if let Some(free) = host.free {
        lines.push(format!("  {:.1} GB free; {}", free as f64 / 1e9, expectation(free, true)));
    }
    let kinds = devices::built_in();
    if kinds.is_empty() {
        lines.push("no GPU is looked for: this program was built for the processor only (docs/devices.md)".into());
    }
    let mut any = false;
    for kind in &kinds {
        match devices::list(*kind) {
            Ok(found) if found.is_empty() => lines.push(format!("{}: no such GPU, or no driver for it", kind.name())),
            Ok(found) => {
                any = true;
                found.iter().for_each(|found| lines.extend(of_device(found)));
            }
            Err(broken) => lines.push(format!("{}: {broken}", kind.name())),
        }
    }
    if any {
        let chosen = open(lorabake_recipe::device::Device::default())?;
        let says = chosen.notes.first().map_or("the processor computes", String::as_str);
        lines.push(format!("--device {} (the default): {says}", Kind::Auto.name()));
    }
    words::result(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

fn of_device(found: &Found) -> Vec<String> {
    let played = if found.software { " (a program that plays a GPU; not taken by itself)" } else { "" };
    let mut lines = vec![format!("{}: {}{played}", found.wanted, found.name)];
    let matrices = if found.cooperative { "cooperative matrices" } else { "no cooperative matrices" };
    lines.push(format!("  {}; {matrices}", told(devices::try_out(&found.device))));
    match found.memory {
        Some(memory) => {
            lines.push(format!("  {:.1} GB of memory; {}", memory as f64 / 1e9, expectation(memory, false)));
        }
        None if found.software => {}
        None => lines.push("  its memory is not told by the system".into()),
    }
    lines
}

fn told(trial: Result<Trial, String>) -> String {
    match trial {
        Err(broken) => format!("does not work: {broken}"),
        Ok(Trial { distance, speed, half }) => {
            let half = match half {
                Some((dtype, speed)) => format!("{dtype:?} {speed:.0}").to_lowercase(),
                None => "no 16-bit floats".into(),
            };
            format!("works (results within {distance:.0e} of the processor's); GFLOP/s: f32 {speed:.0}, {half}")
        }
    }
}
