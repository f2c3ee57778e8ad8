//! Replays recorded traces of sd-scripts through the very step, optimizer and schedule that a bake uses.
//!
//! A pack is a folder with `index.json`, `models/`, `inits/`, `shared/` and `open/traces/`; the one in this repository
//! leaves the tiny models out, which are in `models/tiny/`.

mod compare;
mod replay;
mod trace;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use lorabake_device::{is_host, open};
use lorabake_ops::WeightDtype;
use lorabake_recipe::train::device::{Device as Wanted, Kind};

use compare::Errors;
use replay::{Verdict, replay};
use trace::Trace;

/// The pack that the repository carries.
pub const OWN_PACK: &str = "conformance";

/// Replays the pack in `args`, or the repository's own; `false` if a trace failed or none could be replayed. `--device
/// wgpu` replays on a GPU, which must be there; `--mixed_precision bf16` replays with frozen weights in bf16,
/// `--fp8_base` in 8 bits, with bounds that suit it.
///
/// # Errors
/// If `args` are not understood, the device is not there, or a trace cannot be read.
pub fn run(args: &[String], root: &Path) -> Result<bool> {
    let own = root.join(OWN_PACK);
    let (device, args) = device(args)?;
    let (dtype, args) = precision(args)?;
    let pack = args.first().map_or(own.as_path(), Path::new);
    let index = pack.join("index.json");
    let text = std::fs::read_to_string(&index).with_context(|| format!("{} is no conformance pack", pack.display()))?;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).with_context(|| index.display().to_string())?;
    println!(
        "{:<28} {:>7} {:>10} {:>10} {:>10} {:>10} {:>10}  verdict",
        "trace", "updates", "loss", "gradient", "weights", "1 - cosine", "d"
    );
    let mut passed = 0;
    let mut failed = 0;
    let mut unsupported = 0;
    for entry in &entries {
        let name = entry["name"].as_str().context("an entry of index.json has no name")?;
        let trace = Trace::open(pack, name)?;
        let started = Instant::now();
        match replay(&trace, &root.join("models/tiny"), dtype, &device)? {
            Verdict::Unsupported(reason) => {
                unsupported += 1;
                println!("{name:<28} {:>63}  not supported yet: {reason}", "");
            }
            Verdict::Replayed(errors) => {
                if errors.pass() {
                    passed += 1;
                } else {
                    failed += 1;
                }
                let seconds = started.elapsed().as_secs_f64();
                let took = if is_host(&device) { String::new() } else { format!(", {seconds:.0} s") };
                print_row(name, &errors, &took);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {unsupported} not supported yet");
    println!(
        "columns: largest relative error of the loss at any step, of the gradients' norm, of final − initial weights \
         and how far from parallel these are, of an adaptive optimizer's d"
    );
    Ok(failed == 0 && passed > 0)
}

/// Prints the row of a trace in the table, and what else there is to complain of.
fn print_row(name: &str, errors: &Errors, took: &str) {
    let verdict = if errors.pass() { "pass" } else { "FAIL" };
    let noise = left_out(errors.noise, "their exact gradient is zero");
    let chaotic = left_out(errors.chaotic, "the recording depends on rounding, see CHAOTIC");
    let d = errors.d.map_or_else(String::new, |d| format!("{d:.1e}"));
    println!(
        "{name:<28} {:>7} {:>10.1e} {:>10.1e} {:>10.1e} {:>10.1e} {d:>10}  {verdict}{took}{noise}{chaotic}",
        errors.updates,
        errors.loss,
        errors.gradient,
        errors.weights,
        1.0 - errors.cosine
    );
    for complaint in &errors.complaints {
        println!("    {complaint}");
    }
}

/// How many tensors were not compared, and why; nothing if all were.
fn left_out(count: usize, why: &str) -> String {
    if count == 0 { String::new() } else { format!(" ({count} tensors left out: {why})") }
}

/// Where the traces are replayed, and the words after that.
fn device(args: &[String]) -> Result<(Device, &[String])> {
    let [option, wanted, rest @ ..] = args else { return Ok((Device::flex(), args)) };
    if option != "--device" {
        return Ok((Device::flex(), args));
    }
    let wanted: Wanted = wanted.parse().map_err(anyhow::Error::msg)?;
    let opened = open(wanted)?;
    let fell_back = is_host(&opened.device) && wanted.kind != Kind::Cpu;
    ensure!(!fell_back, "{}", opened.notes.first().map_or("there is no such device", String::as_str));
    Ok((opened.device, rest))
}

/// How frozen weights are held, and the words after that.
fn precision(args: &[String]) -> Result<(WeightDtype, &[String])> {
    match args {
        [option, precision, rest @ ..] if option == "--mixed_precision" => match precision.as_str() {
            "no" => Ok((WeightDtype::F32, rest)),
            "bf16" => Ok((WeightDtype::Bf16, rest)),
            other => bail!("--mixed_precision {other}: it takes no or bf16"),
        },
        [option, rest @ ..] if option == "--fp8_base" => Ok((WeightDtype::Int8, rest)),
        all => Ok((WeightDtype::F32, all)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_own_pack_passes() {
        assert!(run(&[], &Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap());
    }

    #[test]
    fn in_8_bits_the_loss_stays_near() {
        assert!(run(&["--fp8_base".to_string()], &Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap());
    }

    #[test]
    fn in_bf16_the_loss_stays_within_a_hundredth_and_the_change_points_the_same_way() {
        let args = ["--mixed_precision", "bf16"].map(String::from);
        assert!(run(&args, &Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap());
    }
}
