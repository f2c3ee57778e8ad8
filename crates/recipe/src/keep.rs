//! How many snapshots are kept: sd-scripts' `--save_last_n_*` and `--save_n_epoch_ratio`.

use serde::Serialize;

use crate::output::Every;
use crate::report::Report;

/// Which of the earlier snapshots and states stay; `None` = all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// As many snapshots by epochs (`--save_last_n_epochs`).
    pub epochs: Option<u64>,
    /// As many states by epochs, if another number (`--save_last_n_epochs_state`).
    pub epoch_states: Option<u64>,
    /// Snapshots by steps that are at most so many steps old (`--save_last_n_steps`).
    pub steps: Option<u64>,
    /// States by steps that are at most so many steps old, if another number (`--save_last_n_steps_state`).
    pub step_states: Option<u64>,
}

/// What may be typed about how many snapshots stay; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Results", rename_all = "verbatim")]
pub struct RawKeep {
    /// Save about so many snapshots in all, in equal distances: every (epochs ÷ this) epochs.
    #[arg(long, value_name = "SNAPSHOTS")]
    pub save_n_epoch_ratio: Option<u32>,
    /// Keep only the last so many snapshots of --save_every_n_epochs, and delete older ones of this run.
    #[arg(long, value_name = "SNAPSHOTS")]
    pub save_last_n_epochs: Option<u32>,
    /// As --save_last_n_epochs, for the states of --save_state. [default: as many as snapshots]
    #[arg(long, value_name = "STATES")]
    pub save_last_n_epochs_state: Option<u32>,
    /// Keep only snapshots of --save_every_n_steps from the last so many steps, and delete older ones of this run.
    #[arg(long, value_name = "STEPS")]
    pub save_last_n_steps: Option<u32>,
    /// As --save_last_n_steps, for the states of --save_state. [default: as long as snapshots]
    #[arg(long, value_name = "STEPS")]
    pub save_last_n_steps_state: Option<u32>,
}

impl RawKeep {
    /// What is kept; 0 means, as in sd-scripts, that the option is not given.
    pub(crate) fn resolve(&self, snapshots: &[Every], report: &mut Report) -> Keep {
        let by_epochs = snapshots.iter().any(|every| matches!(every, Every::Epochs(_) | Every::EpochShare(_)));
        let by_steps = snapshots.iter().any(|every| matches!(every, Every::Steps(_)));
        let mut number = |option: &str, given: Option<u32>, acts: bool, needs: &str| {
            let given = given.filter(|number| *number > 0)?;
            if !acts {
                report.note(option, format!("has no effect without --{needs}"));
            }
            Some(u64::from(given))
        };
        Keep {
            epochs: number("save_last_n_epochs", self.save_last_n_epochs, by_epochs, "save_every_n_epochs"),
            epoch_states: number(
                "save_last_n_epochs_state",
                self.save_last_n_epochs_state,
                by_epochs,
                "save_every_n_epochs",
            ),
            steps: number("save_last_n_steps", self.save_last_n_steps, by_steps, "save_every_n_steps"),
            step_states: number(
                "save_last_n_steps_state",
                self.save_last_n_steps_state,
                by_steps,
                "save_every_n_steps",
            ),
        }
    }
}

impl Keep {
    /// Writes itself back as options.
    pub(crate) fn to_raw(self, snapshots: &[Every]) -> RawKeep {
        let number = |number: Option<u64>| number.map(|number| number as u32);
        let share =
            snapshots.iter().find_map(|every| if let Every::EpochShare(n) = every { Some(*n as u32) } else { None });
        RawKeep {
            save_n_epoch_ratio: share,
            save_last_n_epochs: number(self.epochs),
            save_last_n_epochs_state: number(self.epoch_states),
            save_last_n_steps: number(self.steps),
            save_last_n_steps_state: number(self.step_states),
        }
    }

    /// The epoch whose snapshot and the epoch whose state go when epoch `now` is saved, saving every `every` epochs.
    pub fn outdated_epochs(&self, now: u64, every: u64) -> [Option<u64>; 2] {
        let before = |kept: Option<u64>| now.checked_sub(every.saturating_mul(kept?)).filter(|epoch| *epoch > 0);
        [before(self.epochs), before(self.epoch_states.or(self.epochs))]
    }

    /// The step whose snapshot and the step whose state go when step `now` is saved, saving every `every` steps.
    pub fn outdated_steps(&self, now: u64, every: u64) -> [Option<u64>; 2] {
        let before = |kept: Option<u64>| {
            let step = now.checked_sub(kept?.saturating_add(1))?;
            Some(step - step % every).filter(|step| *step > 0)
        };
        [before(self.steps), before(self.step_states.or(self.steps))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out from `get_remove_epoch_no` and `get_remove_step_no` of sd-scripts.
    #[test]
    fn what_goes_is_what_sd_scripts_removes() {
        let keep = Keep { epochs: Some(2), ..Keep::default() };
        assert_eq!(keep.outdated_epochs(4, 2), [None, None]);
        assert_eq!(keep.outdated_epochs(6, 2), [Some(2), Some(2)]);
        let states = Keep { epochs: Some(3), epoch_states: Some(1), ..Keep::default() };
        assert_eq!(states.outdated_epochs(4, 1), [Some(1), Some(3)]);
        let steps = Keep { steps: Some(100), ..Keep::default() };
        assert_eq!(steps.outdated_steps(100, 50), [None, None]);
        assert_eq!(steps.outdated_steps(200, 50), [Some(50), Some(50)]);
        assert_eq!(Keep::default().outdated_steps(200, 50), [None, None]);
    }
}
