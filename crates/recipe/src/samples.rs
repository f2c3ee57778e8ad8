//! Pictures during training: when, and from which file of prompts.

use std::path::PathBuf;

use serde::Serialize;

use crate::output::Every;
use crate::report::Report;

/// Pictures that are painted while the run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// The file of prompts (`--sample_prompts`).
    pub prompts: PathBuf,
    /// When; epochs or steps. `None` = only before the first step.
    pub every: Option<Every>,
    /// Before the first step too (`--sample_at_first`).
    pub at_first: bool,
    /// Sampler of prompts that name none (`--sample_sampler`), as typed.
    pub sampler: Option<String>,
}

/// What may be typed about pictures during training; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Pictures during training", rename_all = "verbatim")]
pub struct RawSamples {
    /// File of prompts to paint while training: one a line, with --n negative, --w, --h, --d seed, --s steps, --l CFG,
    /// --ss sampler; or TOML or JSON, as sd-scripts reads them. The pictures go to the folder sample in --output_dir.
    #[arg(long, value_name = "FILE")]
    pub sample_prompts: Option<PathBuf>,
    /// Paint them every so many epochs.
    #[arg(long, value_name = "EPOCHS")]
    pub sample_every_n_epochs: Option<u32>,
    /// Paint them every so many steps.
    #[arg(long, value_name = "STEPS")]
    pub sample_every_n_steps: Option<u32>,
    /// Paint them before the first step too, to see what the model makes of them without the LoRA.
    #[arg(long)]
    pub sample_at_first: Option<bool>,
    /// Sampler of prompts that name none: ddim or euler_a; others fall back to the closer of the two. [default: ddim]
    #[arg(long, value_name = "NAME")]
    pub sample_sampler: Option<String>,
}

impl RawSamples {
    pub(crate) fn resolve(&self, report: &mut Report) -> Option<Samples> {
        let given = |n: Option<u32>| n.filter(|n| *n > 0).map(u64::from);
        let (epochs, steps) = (given(self.sample_every_n_epochs), given(self.sample_every_n_steps));
        let at_first = self.sample_at_first == Some(true);
        let Some(prompts) = self.sample_prompts.clone() else {
            let idle = [
                ("sample_every_n_epochs", epochs.is_some()),
                ("sample_every_n_steps", steps.is_some()),
                ("sample_at_first", at_first),
            ];
            if let Some((option, _)) = idle.iter().find(|(_, given)| *given) {
                report.note(option, "nothing is painted without a file of prompts; name one with --sample_prompts");
            }
            return None;
        };
        if epochs.is_some() && steps.is_some() {
            report.note("sample_every_n_steps", "has no effect with --sample_every_n_epochs, which decides");
        }
        let every = epochs.map(Every::Epochs).or(steps.map(Every::Steps));
        if every.is_none() && !at_first {
            report.note(
                "sample_prompts",
                "nothing is painted without --sample_every_n_epochs, --sample_every_n_steps or --sample_at_first",
            );
            return None;
        }
        Some(Samples { prompts, every, at_first, sampler: self.sample_sampler.clone() })
    }
}

impl From<&Samples> for RawSamples {
    fn from(samples: &Samples) -> Self {
        let mut raw = Self {
            sample_prompts: Some(samples.prompts.clone()),
            sample_at_first: Some(samples.at_first),
            sample_sampler: samples.sampler.clone(),
            ..Self::default()
        };
        match samples.every {
            Some(Every::Steps(n)) => raw.sample_every_n_steps = Some(n as u32),
            Some(Every::Epochs(n) | Every::EpochShare(n)) => raw.sample_every_n_epochs = Some(n as u32),
            None => {}
        }
        raw
    }
}
