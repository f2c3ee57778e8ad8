//! Deletes the snapshots and states of this run that `--save_last_n_*` no longer keeps.

use std::path::PathBuf;

use lorabake_recipe::output::{Every, Output};
use lorabake_weights::file_names;

use super::earlier::Earlier;
use super::state;

/// What has just been saved.
#[derive(Clone, Copy)]
pub(crate) enum Snapshot {
    /// After this epoch, counted from 1, every so many.
    Epoch(u64, u64),
    /// After this step, counted from 1, every so many.
    Step(u64, u64),
}

/// Deletes what `saved` makes outdated of what this run has written; returns what could not be deleted.
pub(crate) fn prune(output: &Output, saved: Snapshot, earlier: &Earlier) -> Vec<PathBuf> {
    let (outdated, name): (_, fn(&str, u64) -> String) = match saved {
        Snapshot::Epoch(now, every) => (output.keep.outdated_epochs(now, every), file_names::at_epoch),
        Snapshot::Step(now, every) => (output.keep.outdated_steps(now, every), file_names::at_step),
    };
    let [file, state] = outdated.map(|number| number.map(|number| name(&output.name, number)));
    let file = file.map(|file| output.dir.join(file)).filter(|file| file.is_file() && earlier.is_own(file));
    let state = state
        .map(|file| output.dir.join(file_names::state_of(&file)))
        .filter(|dir| earlier.is_own(&dir.join(state::FILE)));
    let left_file = file.filter(|file| std::fs::remove_file(file).is_err());
    let left_state = state.filter(|dir| std::fs::remove_dir_all(dir).is_err());
    left_file.into_iter().chain(left_state).collect()
}

/// How often snapshots by steps are asked for.
pub(crate) fn every_steps(output: &Output) -> Option<u64> {
    output.snapshots.iter().find_map(|every| if let Every::Steps(n) = every { Some(*n) } else { None })
}

/// How often snapshots by epochs are asked for, in a run of `epochs`.
pub(crate) fn every_epochs(output: &Output, epochs: u64) -> Option<u64> {
    output.snapshots.iter().find_map(|every| every.in_epochs(epochs))
}
