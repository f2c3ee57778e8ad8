//! `lorabake doctor --device … --thorough`: all that the networks compute on a device, beside the processor.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use lorabake_device::Opened;
use lorabake_device::agreement::{Agreement, compare};
use lorabake_generate::agreement::vae;
use lorabake_recipe::train::Duration;
use lorabake_recipe::train::device::Device as Wanted;
use lorabake_recipe::{ParseError, Parsed, parse_train};
use lorabake_train::agreement::bakes;

use crate::cmd::demo;
use crate::terminal::{self, Shown};

/// Optimizer steps of the bake that is compared.
const STEPS: u64 = 6;
/// Its losses agree to this,
const LOSS: f64 = 1e-4;
/// and with 16-bit weights to this.
const LOSS_HALVED: f64 = 2e-2;

/// Compares, and tells of each thing as soon as it is known; fails if rounding does not explain a difference.
///
/// # Errors
/// If the device fails, or something cannot be computed at all.
pub fn run(wanted: Wanted, opened: &Opened) -> Result<ExitCode> {
    let device = &opened.device;
    terminal::result(&format!("{:<36} {:>9}  {:>9}", "computed there and here", "apart", "allowed"));
    let mut different = tell(&compare(device).map_err(|broken| anyhow!(broken))?);
    different += tell(&vae(device)?);
    let folder = tempfile::tempdir().context("no folder for a short training can be made")?;
    for (precision, bound) in [("no", LOSS), ("fp16", LOSS_HALVED)] {
        let theirs = short(folder.path(), &wanted.to_string(), precision)?;
        let ours = short(folder.path(), "cpu", "no")?;
        let what = format!("{STEPS} steps, mixed_precision={precision}");
        different += tell(&[bakes(what, [&theirs, &ours], bound)?]);
    }
    if different > 0 {
        terminal::result(&format!(
            "--device {wanted}: {different} differ by more than rounding explains; do not train on it"
        ));
        return Ok(ExitCode::FAILURE);
    }
    terminal::result(&format!("--device {wanted}: all agree"));
    Ok(ExitCode::SUCCESS)
}

/// A line for each; how many don't hold.
fn tell(found: &[Agreement]) -> usize {
    for one in found {
        let Agreement { what, distance, bound } = one;
        let differs = if one.holds() { "" } else { "  DIFFERS" };
        terminal::result(&format!("{:<36} {distance:>9.1e}  {bound:>9.1e}{differs}", Shown(what).to_string()));
    }
    found.iter().filter(|one| !one.holds()).count()
}

/// A few steps of the example Penny, whose files are put into `folder`.
fn short(folder: &Path, device: &str, precision: &str) -> Result<Parsed> {
    demo::unpack("penny", folder)?;
    let path = |option: &str, path: &str| {
        let mut text = OsString::from(format!("--{option}="));
        text.push(folder.join(path));
        text
    };
    let argv = [
        path("config_file", "penny.toml"),
        path("train_data_dir", "penny"),
        path("reg_data_dir", "reg"),
        path("output_dir", &format!("{}-{precision}", device.replace(':', "-"))),
        format!("--device={device}").into(),
        format!("--mixed_precision={precision}").into(),
        "--train_batch_size=2".into(),
    ];
    let mut parsed = match parse_train(&argv) {
        Ok(parsed) => parsed,
        Err(ParseError::Unusable(problems)) => return Err(problems.into()),
        Err(ParseError::Asked(text)) => bail!(text),
    };
    parsed.recipe.train.duration = Duration::Steps(STEPS);
    Ok(parsed)
}
