//! `lorabake doctor`: the devices of this machine, whether they work, how fast they are, and what fits into them.

mod thorough;

use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_device::{DetectedDevice, Opened, Question, Trial, open, processor, what_fits};
use lorabake_recipe::train::device::{Device as Wanted, Kind};

use crate::terminal::{self, Shown};

/// The options; their comments are the texts of `--help`.
#[derive(clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// Try out this device alone, such as vulkan:0.
    #[arg(long)]
    device: Option<Wanted>,
    /// Leaves out how fast it is.
    #[arg(long, hide = true, requires = "device")]
    check: bool,
    /// Compares all that is computed in a training with the processor: each operation forward and backward, what weights
    /// take of the card's memory, the VAE, six steps in 32 and in 16 bits. Takes minutes.
    #[arg(long, requires = "device", conflicts_with = "check")]
    thorough: bool,
}

/// Prints what there is.
///
/// # Errors
/// If there is no such device. One that does not work is no error, but ends the program without success if it was asked
/// for by itself.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(wanted) = args.device {
        return alone(wanted, args);
    }
    let mut lines = vec![format!("lorabake {}", env!("CARGO_PKG_VERSION"))];
    let host = processor();
    lines.push(format!("cpu: {}; {} threads; {}", host.name, host.threads, host.instructions));
    lines.push(format!("  {}", verdict(lorabake_device::try_out(&host.device).map(told))));
    if let Some(free) = host.free {
        lines.push(format!("  {:.1} GB free; {}", free as f64 / 1e9, what_fits(free, true)));
    }
    let kinds = lorabake_device::built_in();
    if kinds.is_empty() {
        lines.push("no GPU is looked for: this program was built for the processor only (docs/devices.md)".into());
    }
    let mut any = false;
    for kind in &kinds {
        match lorabake_device::list(*kind) {
            Ok(found) if found.is_empty() => lines.push(format!("{}: no such GPU, or no driver for it", kind.name())),
            Ok(found) => {
                any = true;
                found.iter().for_each(|found| lines.extend(of_device(found)));
            }
            Err(broken) => lines.push(format!("{}: {broken}", kind.name())),
        }
    }
    if any {
        let chosen = open(Wanted::default())?;
        let says = chosen.notes.first().map_or("the processor computes", String::as_str);
        lines.push(format!("--device {} (the default): {says}", Kind::Auto.name()));
    }
    let lines: Vec<String> = lines.iter().map(|line| Shown(line).to_string()).collect();
    terminal::result(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// One device, in this process: another one asks in this way, so that it survives a driver that crashes.
fn alone(wanted: Wanted, args: &Args) -> Result<ExitCode> {
    let device = match wanted.kind {
        Kind::Auto => open(wanted)?.device,
        Kind::Cpu => processor().device,
        kind => {
            let found = match lorabake_device::list(kind) {
                Ok(found) => found,
                // Whoever asks reads stdout.
                Err(broken) => {
                    terminal::result(&Shown(broken).to_string());
                    return Ok(ExitCode::FAILURE);
                }
            };
            let place = wanted.index.unwrap_or_default();
            let missing = || format!("--device {wanted}: there are {} such devices", found.len());
            found.get(place).with_context(missing)?.device.clone()
        }
    };
    if args.thorough {
        return thorough::run(wanted, &Opened { device, notes: Vec::new() });
    }
    let says = if args.check {
        lorabake_device::check(&device).map(|_| "works".into())
    } else {
        lorabake_device::try_out(&device).map(told)
    };
    let (line, code) = match says {
        Ok(works) => (works, ExitCode::SUCCESS),
        Err(broken) => (broken, ExitCode::FAILURE),
    };
    terminal::result(&Shown(line).to_string());
    Ok(code)
}

fn of_device(found: &DetectedDevice) -> Vec<String> {
    let played = if found.software { " (a program that plays a GPU; not taken by itself)" } else { "" };
    let mut lines = vec![format!("{}: {}{played}", found.wanted, found.name)];
    let matrices = if found.cooperative { "cooperative matrices" } else { "no cooperative matrices" };
    let apart = lorabake_device::ask(found.wanted, Question::Trial);
    let says = apart.unwrap_or_else(|| lorabake_device::try_out(&found.device).map(told));
    lines.push(format!("  {}; {matrices}", verdict(says)));
    match found.memory {
        Some(memory) => {
            let free = found.free.unwrap_or(memory);
            let [memory, shown] = [memory, free].map(|bytes| bytes as f64 / 1e9);
            lines.push(format!("  {memory:.1} GB of memory, {shown:.1} free; {}", what_fits(free, false)));
        }
        None if found.software => {}
        None => lines.push("  its memory is not told by the system".into()),
    }
    lines
}

fn verdict(says: Result<String, String>) -> String {
    says.unwrap_or_else(|broken| format!("does not work: {broken}"))
}

fn told(trial: Trial) -> String {
    let Trial { distance, speed, half } = trial;
    let half = match half {
        Some((dtype, speed)) => format!("{dtype:?} {speed:.0}").to_lowercase(),
        None => "no 16-bit floats".into(),
    };
    let right = match distance {
        0.0 => "works".to_owned(),
        _ => format!("works (results within {distance:.0e} of the processor's)"),
    };
    format!("{right}; GFLOP/s: f32 {speed:.0}, {half}")
}
