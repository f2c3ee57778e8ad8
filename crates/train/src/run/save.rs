//! What a run leaves behind on its way and at its end: LoRAs, and states to go on from.

use std::path::PathBuf;

use anyhow::Result;
use lorabake_recipe::output::SaveState;
use lorabake_weights::file_names;

use super::failure::chain;
use super::{Bake, result};
use crate::event::Event;
use crate::output::prune::{self, Snapshot};
use crate::output::save::Progress;
use crate::output::state::{self, Position};
use crate::watch::validate;

impl Bake<'_> {
    pub(super) fn save_by_steps(&mut self, epoch: u64) {
        let Some(every) = prune::every_steps(&self.session.recipe.output) else { return };
        if self.step.is_multiple_of(every) {
            let name = file_names::at_step(&self.session.recipe.output.name, self.step);
            self.save_snapshot(&name, epoch + 1, Snapshot::Step(self.step, every));
        }
    }

    pub(super) fn save_by_epochs(&mut self, epoch: u64) {
        let output = &self.session.recipe.output;
        let every = prune::every_epochs(output, self.session.length.epochs);
        let Some(every) = every.filter(|every| epoch.is_multiple_of(*every)) else { return };
        let name = file_names::at_epoch(&output.name, epoch);
        self.save_snapshot(&name, epoch, Snapshot::Epoch(epoch, every));
    }

    /// Saves a snapshot with its state; older ones go only if that went well. That it did not is no reason to end the run.
    fn save_snapshot(&mut self, name: &str, epoch: u64, snapshot: Snapshot) {
        let path = self.session.recipe.output.dir.join(name);
        let mut saved = self.save_network(path, epoch);
        if saved.is_ok()
            && let Snapshot::Epoch(epoch, _) = snapshot
        {
            self.saved_epochs.insert(epoch);
        }
        if saved.is_ok() && self.session.recipe.output.save_state == SaveState::Always {
            saved = self.save_state(name);
        }
        match saved {
            Ok(()) => self.prune(snapshot),
            Err(error) => self.emit(Event::Note(format!("{}; training goes on without it", chain(&error)))),
        }
    }

    fn prune(&self, saved: Snapshot) {
        if !self.channels.processes.is_first() {
            return;
        }
        for path in prune::prune(&self.session.recipe.output, saved, &self.saver.earlier) {
            self.emit(Event::Note(format!("{}: it is no longer kept, but cannot be deleted", path.display())));
        }
    }

    /// Saves what the run has to show so far.
    pub(super) fn save_network(&mut self, path: PathBuf, epoch: u64) -> Result<()> {
        if !self.channels.processes.is_first() {
            return Ok(());
        }
        let trained = result(&self.session, self.ema.as_ref());
        let (network, progress) = match &self.shown {
            Some((network, progress)) => (network, *progress),
            None => (trained.as_ref(), Progress { epoch, steps: self.step }),
        };
        let emit = |event| self.channels.events.send(event).unwrap_or_default();
        self.saver.save(network, &path, progress, &emit)
    }

    /// Saves the state that belongs to the file `name`.
    pub(super) fn save_state(&mut self, name: &str) -> Result<()> {
        if !self.channels.processes.is_first() {
            return Ok(());
        }
        let dir = self.session.recipe.output.dir.join(file_names::state_of(name));
        let position = Position {
            step: self.step,
            epoch: self.step.div_ceil(self.session.length.steps_per_epoch),
            seed: self.session.recipe.train.seed,
            split_seed: self.session.recipe.data.hold_out.run_seed,
            held_out: validate::names(&self.session.dataset),
            batches_per_epoch: self.session.length.batches_per_epoch,
            is_ended: self.is_ended(),
        };
        state::save(&dir, &self.session.network, &self.updater, self.ema.as_ref(), &position, &self.average)?;
        self.saver.earlier.wrote(&dir.join(state::FILE));
        self.emit(Event::Saved(dir.clone()));
        self.last_state = Some(SavedState { dir, step: self.step });
        Ok(())
    }
}

/// A state that this run has saved.
pub(super) struct SavedState {
    pub dir: PathBuf,
    /// Where it stands.
    pub step: u64,
}
