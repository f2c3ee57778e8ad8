//! Where the result, its snapshots and the logs go.

mod every;
mod file_name;
pub mod keep;
pub mod samples;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::report::Report;
pub use every::Every;
use keep::{Keep, RawKeep};

/// Type of the numbers in a saved file (`--save_precision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SavePrecision {
    /// `float`
    F32,
    /// `fp16`
    F16,
    /// `bf16`
    Bf16,
}

/// When the state is saved from which a run can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveState {
    /// Not at all.
    Never,
    /// `--save_state_on_train_end`: when training ends, Ctrl-C included.
    AtEnd,
    /// `--save_state`: with every snapshot and at the end.
    Always,
}

/// Output section of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Folder of the results (`--output_dir`).
    pub dir: PathBuf,
    /// File name without suffix (`--output_name`).
    pub name: String,
    /// Refuse to begin where the result would replace a file (`--no_overwrite`).
    pub no_overwrite: bool,
    /// `--save_precision`; `None` = float.
    pub save_precision: Option<SavePrecision>,
    /// Snapshots; both kinds may be asked for.
    pub snapshots: Vec<Every>,
    /// Which of them stay.
    pub keep: Keep,
    /// States to go on from.
    pub save_state: SaveState,
    /// Go on from the state in this folder (`--resume`).
    pub resume: Option<PathBuf>,
    /// Free text kept in the file's metadata (`--training_comment`).
    pub comment: Option<String>,
    /// Leave run metadata out of the file (`--no_metadata`).
    pub no_metadata: bool,
    /// Folder of TensorBoard logs (`--logging_dir`).
    pub logging_dir: Option<PathBuf>,
    /// Prefix of the log folder's name (`--log_prefix`).
    pub log_prefix: Option<String>,
}

/// What may be typed about results and logs; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Results", rename_all = "verbatim")]
pub struct RawOutput {
    /// Folder for the finished LoRA and its snapshots. Required.
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// File name of the LoRA without its suffix. A file of that name from an earlier run is kept as
    /// NAME.old-DATE-TIME.safetensors, and so are its snapshots. [default: last]
    #[arg(long, value_name = "NAME")]
    pub output_name: Option<String>,
    /// Do not begin if the LoRA or one of its snapshots has the name of a file that is there already.
    #[arg(long)]
    pub no_overwrite: Option<bool>,
    /// Size of the numbers in the file: float, fp16 or bf16. fp16 halves the file and is what most people share.
    /// [default: float]
    #[arg(long, value_name = "float|fp16|bf16")]
    pub save_precision: Option<String>,
    /// Format of the file; only safetensors. [default: safetensors]
    #[arg(long, value_name = "FORMAT")]
    pub save_model_as: Option<String>,
    /// Save a snapshot after every so many epochs, to compare them afterwards. If the end is overcooked, an earlier one
    /// may be fine.
    #[arg(long, value_name = "EPOCHS")]
    pub save_every_n_epochs: Option<u32>,
    /// Save a snapshot after every so many steps.
    #[arg(long, value_name = "STEPS")]
    pub save_every_n_steps: Option<u32>,
    /// How many snapshots stay.
    #[command(flatten)]
    #[serde(flatten)]
    pub keep: RawKeep,
    /// With every snapshot and at the end, save the state of the run too, from which --resume continues exactly.
    #[arg(long)]
    pub save_state: Option<bool>,
    /// Save the state of the run when it ends, by itself or by Ctrl-C.
    #[arg(long)]
    pub save_state_on_train_end: Option<bool>,
    /// Continue from a saved state, a folder called NAME-state: with the same options the result is that of a run
    /// without the stop, number by number.
    #[arg(long, value_name = "FOLDER")]
    pub resume: Option<PathBuf>,
    /// A remark that is kept in the file's metadata.
    #[arg(long, value_name = "TEXT")]
    pub training_comment: Option<String>,
    /// Keep the training settings out of the file. Without them nobody, you included, can see how it was made.
    #[arg(long)]
    pub no_metadata: Option<bool>,
    /// Folder for loss and learning-rate charts, to be opened with TensorBoard. [default: no charts]
    #[arg(long, value_name = "FOLDER")]
    pub logging_dir: Option<PathBuf>,
    /// What the folder names inside --logging_dir begin with, before the date.
    #[arg(long, value_name = "TEXT")]
    pub log_prefix: Option<String>,
}

impl RawOutput {
    pub(crate) fn resolve(&self, report: &mut Report) -> Output {
        if self.output_dir.is_none() {
            report.problem("output_dir", "the folder for the result is missing", "give a folder, for instance out");
        }
        let dir = self.output_dir.as_deref().map(Path::to_string_lossy);
        let logs = self.logging_dir.as_deref().map(Path::to_string_lossy);
        let prefix = self.log_prefix.as_deref().map(Cow::Borrowed);
        for (option, given) in [("output_dir", dir), ("logging_dir", logs), ("log_prefix", prefix)] {
            if let Some(given) = given.filter(|given| given.contains(char::is_control)) {
                let what = format!("`{}` has a control character in it", given.escape_debug());
                report.problem(option, what, "leave it out");
            }
        }
        if self.log_prefix.is_some() && self.logging_dir.is_none() {
            report.note("log_prefix", "has no effect without --logging_dir");
        }
        self.check_format(report);
        let snapshots = self.snapshots(report);
        Output {
            dir: self.output_dir.clone().unwrap_or_default(),
            name: self.name(report),
            no_overwrite: self.no_overwrite == Some(true),
            save_precision: self.save_precision(report),
            keep: self.keep.resolve(&snapshots, report),
            snapshots,
            save_state: self.save_state(report),
            resume: self.resume.clone(),
            comment: self.training_comment.clone(),
            no_metadata: self.no_metadata == Some(true),
            logging_dir: self.logging_dir.clone(),
            log_prefix: self.log_prefix.clone(),
        }
    }

    fn snapshots(&self, report: &mut Report) -> Vec<Every> {
        let epochs = self.save_every_n_epochs.map(|n| report.count("save_every_n_epochs", Some(n), 1));
        let steps = self.save_every_n_steps.map(|n| report.count("save_every_n_steps", Some(n), 1));
        let share = self.keep.save_n_epoch_ratio.filter(|n| *n > 0).map(|n| Every::EpochShare(n.into()));
        if epochs.is_some() && share.is_some() {
            // The ratio wins in sd-scripts as well.
            report.note("save_every_n_epochs", "has no effect with --save_n_epoch_ratio, which decides");
        }
        let epochs = share.or(epochs.map(|n| Every::Epochs(n.into())));
        epochs.into_iter().chain(steps.map(|n| Every::Steps(n.into()))).collect()
    }

    fn save_state(&self, report: &mut Report) -> SaveState {
        match (self.save_state == Some(true), self.save_state_on_train_end == Some(true)) {
            (true, true) => {
                report.note("save_state_on_train_end", "has no effect with --save_state, which saves at the end too");
                SaveState::Always
            }
            (true, false) => SaveState::Always,
            (false, true) => SaveState::AtEnd,
            (false, false) => SaveState::Never,
        }
    }

    fn name(&self, report: &mut Report) -> String {
        let Some(name) = &self.output_name else {
            report.note("output_name", "not given, so the file is called last.safetensors");
            return "last".to_owned();
        };
        if let Err(bad) = file_name::check(name) {
            report.problem("output_name", bad.what, bad.remedy);
        }
        name.clone()
    }

    fn save_precision(&self, report: &mut Report) -> Option<SavePrecision> {
        let text = self.save_precision.as_ref()?;
        match text.to_ascii_lowercase().as_str() {
            "float" => Some(SavePrecision::F32),
            "fp16" => Some(SavePrecision::F16),
            "bf16" => Some(SavePrecision::Bf16),
            _ => {
                report.problem("save_precision", format!("`{text}` is not a precision"), "use float, fp16 or bf16");
                None
            }
        }
    }

    fn check_format(&self, report: &mut Report) {
        let Some(format) = &self.save_model_as else { return };
        match format.to_ascii_lowercase().as_str() {
            "safetensors" => {}
            "ckpt" | "pt" => report.problem(
                "save_model_as",
                format!("{format} files can carry programs, so lorabake does not write them"),
                "use safetensors, which every web UI reads",
            ),
            _ => report.problem("save_model_as", format!("`{format}` is not a format"), "use safetensors"),
        }
    }
}

impl From<&Output> for RawOutput {
    fn from(output: &Output) -> Self {
        let save_precision = output.save_precision.map(|precision| match precision {
            SavePrecision::F32 => "float".to_owned(),
            SavePrecision::F16 => "fp16".to_owned(),
            SavePrecision::Bf16 => "bf16".to_owned(),
        });
        let mut raw = Self {
            output_dir: Some(output.dir.clone()),
            output_name: Some(output.name.clone()),
            no_overwrite: if output.no_overwrite { Some(true) } else { None },
            save_precision,
            save_state: if output.save_state == SaveState::Always { Some(true) } else { None },
            save_state_on_train_end: if output.save_state == SaveState::AtEnd { Some(true) } else { None },
            resume: output.resume.clone(),
            training_comment: output.comment.clone(),
            no_metadata: Some(output.no_metadata),
            logging_dir: output.logging_dir.clone(),
            log_prefix: output.log_prefix.clone(),
            keep: output.keep.to_raw(&output.snapshots),
            ..Self::default()
        };
        for every in &output.snapshots {
            match *every {
                Every::Epochs(n) => raw.save_every_n_epochs = Some(n as u32),
                Every::Steps(n) => raw.save_every_n_steps = Some(n as u32),
                Every::EpochShare(_) => {}
            }
        }
        raw
    }
}
