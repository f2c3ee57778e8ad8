//! Where bakes are made and judged: a folder with sets and runs, and the program that does it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lorabake_judge::advice::advise;
use lorabake_judge::strength::Response;
use lorabake_judge::{Report, rules};

use super::spoil::Bake;

/// A folder with sets and runs.
pub struct Kitchen {
    /// The program that bakes and judges.
    pub program: PathBuf,
    /// The folder.
    pub folder: PathBuf,
}

/// How a run is judged.
pub struct Look<'a> {
    /// The run's folder.
    pub run: &'a Path,
    /// Its images, from the folder of the check.
    pub data: &'a str,
    /// Where the numbers are written to; what is there already is not measured again.
    pub json: &'a Path,
    /// More options.
    pub more: &'a [&'a str],
}

impl Kitchen {
    /// The folder of a bake.
    pub fn place(&self, bake: &Bake) -> PathBuf {
        self.folder.join("runs").join(bake.name())
    }

    /// Trains, unless that was done.
    ///
    /// # Errors
    /// When a bake fails that should not.
    pub fn train(&self, bake: &Bake) -> Result<()> {
        let place = self.place(bake);
        if has_loras(&place) {
            return Ok(());
        }
        // A bake that ends because its loss is no number any more is a spoilt one; what it saved before is judged.
        self.bake(&place, &bake.options(), "base.toml", bake.kind.may_end_early())
    }

    /// Trains with a recipe and options into a folder.
    ///
    /// # Errors
    /// When it fails, unless it `may_end_early`.
    pub fn bake(&self, place: &Path, options: &[String], recipe: &str, may_end_early: bool) -> Result<()> {
        std::fs::create_dir_all(place)?;
        let log = std::fs::File::create(place.join("log"))?;
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).arg("train").args(["--config_file", recipe]).args(options);
        command.arg("--output_dir").arg(place).args(["--output_name", "x"]);
        let status = command.stdout(Stdio::null()).stderr(log).status()?;
        if !status.success() && !may_end_early {
            bail!("{}: the bake failed, see its log", place.display());
        }
        Ok(())
    }

    /// Measures a run, unless that was done, and judges it by the rules as they are now.
    ///
    /// # Errors
    /// When it cannot be judged.
    pub fn judge(&self, look: &Look<'_>) -> Result<Report> {
        if !look.json.is_file() {
            let mut command = Command::new(&self.program);
            command.current_dir(&self.folder).arg("judge").arg(look.run).args(["--train_data_dir", look.data]);
            command.arg("--json").arg(look.json).arg("--no_html").args(look.more);
            let output = command.output()?;
            if !output.status.success() {
                bail!("{}: {}", look.run.display(), String::from_utf8_lossy(&output.stderr));
            }
        }
        judged_anew(look.json)
    }
}

/// Whether something was baked into a folder.
pub fn has_loras(place: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(place) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|suffix| suffix == "safetensors"))
}

/// A report whose verdict is that of the rules as they are now.
///
/// # Errors
/// When the file cannot be read.
pub fn judged_anew(json: &Path) -> Result<Report> {
    let text = std::fs::read(json).with_context(|| json.display().to_string())?;
    let mut report: Report = serde_json::from_slice(&text).with_context(|| json.display().to_string())?;
    report.facts.is_embedded = true;
    for snapshot in &mut report.measures.snapshots {
        for response in [&mut snapshot.whole, &mut snapshot.unet, &mut snapshot.te].into_iter().flatten() {
            *response = Response::of(std::mem::take(&mut response.points));
        }
    }
    judge_again(&mut report);
    Ok(report)
}

/// Verdict and advice by what the report holds.
pub fn judge_again(report: &mut Report) {
    report.judgement = rules::judge(&report.measures, &report.pictures, &report.facts);
    report.advice = advise(&report.measures, &report.judgement, &report.facts);
}
