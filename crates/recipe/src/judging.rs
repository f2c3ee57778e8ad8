//! Judging while a LoRA trains: how often, and whether that may end the run.

use serde::Serialize;

use crate::report::Report;

/// When a LoRA is judged while it trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judging {
    /// After every so many epochs (`--judge_every_n_epochs`).
    pub every_epochs: u64,
    /// The run ends when it was overcooked so many times in a row (`--stop_when_overcooked`).
    pub stop_when_overcooked: Option<u64>,
}

/// What may be typed about judging during training; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Judging during training", rename_all = "verbatim")]
pub struct RawJudging {
    /// Judge the LoRA after every so many epochs, as `lorabake judge --budget quick` does: undercooked, fine or
    /// overcooked, with the numbers in --logging_dir. Hold images out for it with --validation_split.
    #[arg(long, value_name = "EPOCHS")]
    pub judge_every_n_epochs: Option<u32>,
    /// End the run when the LoRA was judged overcooked so many times in a row; the result is then the best one that was
    /// judged, and the last is kept beside it. Judges after each epoch unless --judge_every_n_epochs says otherwise.
    #[arg(long, value_name = "TIMES")]
    pub stop_when_overcooked: Option<u32>,
}

impl RawJudging {
    /// When to judge; 0 stands for never. `held_out` tells whether images are held out.
    pub(crate) fn resolve(&self, held_out: bool, report: &mut Report) -> Option<Judging> {
        let stop = self.stop_when_overcooked.filter(|times| *times > 0);
        let every = match self.judge_every_n_epochs {
            Some(0) if stop.is_some() => {
                report
                    .note("stop_when_overcooked", "has no effect with --judge_every_n_epochs 0, which judges nothing");
                return None;
            }
            Some(0) => return None,
            Some(every) => every,
            None if stop.is_some() => 1,
            None => return None,
        };
        if !held_out {
            let text = "no image is held out, so mirror images or the training images themselves stand in, which tells \
                        less; --validation_split 0.15 holds some out";
            report.note("judge_every_n_epochs", text);
        }
        Some(Judging { every_epochs: every.into(), stop_when_overcooked: stop.map(u64::from) })
    }
}

impl From<Judging> for RawJudging {
    fn from(judging: Judging) -> Self {
        Self {
            judge_every_n_epochs: Some(judging.every_epochs as u32),
            stop_when_overcooked: judging.stop_when_overcooked.map(|times| times as u32),
        }
    }
}
