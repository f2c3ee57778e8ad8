//! Options of `lorabake grid` for what varies.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lorabake_generate::png_text::Entry;
use lorabake_judge::grid::{Axis, OPTIONS};

use crate::terminal;

/// What varies.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Axes")]
pub struct AxisArgs {
    /// What differs from column to column: epoch=all, strength=0.5-1.2 (+0.1), sampler=Euler a,DDIM, prompt=hat,crown
    /// or any other axis; docs/grids.md lists them. [default: that of the plot that --like names;
    /// with --run epoch=all]
    #[arg(long, value_name = "AXIS=VALUES")]
    pub x: Option<String>,
    /// What differs from row to row.
    #[arg(long, value_name = "AXIS=VALUES", requires = "x")]
    pub y: Option<String>,
    /// What differs from sheet to sheet.
    #[arg(long, value_name = "AXIS=VALUES", requires = "x")]
    pub z: Option<String>,
    /// Pictures of each cell, with seeds that go up.
    #[arg(long, value_name = "PICTURES", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub per_cell: u32,
    /// The run whose snapshots the axis epoch shows: a LoRA of it, its name, or its folder. Without that axis pictures have
    /// its last snapshot. [default: that of the prompt's LoRA]
    #[arg(long, value_name = "LORA|FOLDER")]
    pub run: Option<PathBuf>,
    /// Which LoRA of the prompt the axes epoch, lora, strength, te, unet and block act on, if it has several.
    #[arg(long, value_name = "NAME")]
    pub axis_lora: Option<String>,
}

impl AxisArgs {
    /// What is typed behind `--x`, `--y` and `--z`; without `--x` the axes of a plot, whose settings are `plot`.
    ///
    /// # Errors
    /// When there is none.
    pub fn typed(&self, plot: &[Entry]) -> Result<[Option<String>; 3]> {
        if self.x.is_some() {
            return Ok([self.x.clone(), self.y.clone(), self.z.clone()]);
        }
        let mut found = Vec::new();
        for letter in ["X", "Y", "Z"] {
            let said = |what: &str| {
                let key = format!("{letter} {what}");
                plot.iter().find(|entry| entry.key == key).map(|entry| entry.value.to_string())
            };
            let Some(name) = said("Type").filter(|name| name != "Nothing") else { continue };
            let axis = format!("{name}={}", said("Values").unwrap_or_default());
            terminal::say(&format!("note: --like: {} {}", OPTIONS[found.len()], terminal::Shown(&axis)));
            if let Err(why) = Axis::named(&name) {
                bail!("--like: the plot's axis {name}: {why}");
            }
            // A stranger's picture; what it names is looked up by name in the folders for it.
            let names_files = ["lora", "checkpoint", "vae", "upscaler"].iter().any(|own| is_axis(&name, own));
            if axis.contains(['/', '\\']) && (names_files || axis.contains('<')) {
                bail!("--like: the plot's axis {name} names a path, which is not opened; type it with --x");
            }
            found.push(axis);
        }
        if found.is_empty() && self.run.is_some() {
            terminal::say("note: --x: not given, so that it is epoch=all, the snapshots of --run");
            found.push("epoch=all".to_owned());
        }
        if found.is_empty() {
            bail!("--x: it is not given; say what varies, for instance --x strength=0.5,0.8,1");
        }
        let mut axes = found.into_iter();
        Ok([axes.next(), axes.next(), axes.next()])
    }
}

/// Whether `name` means the axis `own`.
fn is_axis(name: &str, own: &str) -> bool {
    Axis::named(name).is_ok_and(|axis| axis.name == own)
}
