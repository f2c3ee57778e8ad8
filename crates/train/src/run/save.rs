//! What a run leaves behind: LoRAs on the way, states to go on from, and what is rescued when it fails.

use std::path::PathBuf;

use anyhow::Result;
use lorabake_recipe::output::SaveState;
use lorabake_weights::file_names;

use super::{Bake, result};
use crate::event::Event;
use crate::output::prune::{self, Snapshot};
use crate::output::save::Progress;
use crate::output::state::{self, Position};
use crate::watch::validate;

impl Bake<'_> {
    pub(super) fn save_by_steps(&mut self, epoch: u64) -> Result<()> {
        let Some(every) = prune::every_steps(&self.session.recipe.output) else { return Ok(()) };
        if self.step.is_multiple_of(every) {
            let name = file_names::at_step(&self.session.recipe.output.name, self.step);
            self.save(&name, epoch + 1)?;
            self.prune(Snapshot::Step(self.step, every));
        }
        Ok(())
    }

    pub(super) fn save_by_epochs(&mut self, epoch: u64) -> Result<()> {
        let output = &self.session.recipe.output;
        let every = output.snapshots.iter().find_map(|every| every.in_epochs(self.session.length.epochs));
        let Some(every) = every.filter(|every| epoch.is_multiple_of(*every)) else { return Ok(()) };
        let name = file_names::at_epoch(&output.name, epoch);
        self.save(&name, epoch)?;
        self.prune(Snapshot::Epoch(epoch, every));
        Ok(())
    }

    fn prune(&self, saved: Snapshot) {
        if !self.channels.processes.is_first() {
            return;
        }
        for path in prune::prune(&self.session.recipe.output, saved) {
            self.emit(Event::Note(format!("{}: it is no longer kept, but cannot be deleted", path.display())));
        }
    }

    /// Keeps what was learned before a step that failed; the error then says where it is.
    pub(super) fn rescue(&mut self, error: anyhow::Error, epoch: u64) -> anyhow::Error {
        if self.step == 0 {
            return error;
        }
        let name = file_names::at_step(&self.session.recipe.output.name, self.step);
        let kept = self.save(&name, epoch + 1).and_then(|file| self.save_state(&name).map(|()| file));
        match kept {
            Ok(file) => error.context(format!(
                "the run ended in step {}; what was learned until then is in {}, and --resume {} goes on from there",
                self.step + 1,
                file.display(),
                self.session.recipe.output.dir.join(file_names::state_of(&name)).display()
            )),
            Err(why) => error.context(format!("the run ended, and what was learned cannot be saved: {why:#}")),
        }
    }

    pub(super) fn save(&mut self, name: &str, epoch: u64) -> Result<PathBuf> {
        if !self.channels.processes.is_first() {
            return Ok(self.session.recipe.output.dir.join(name));
        }
        let network = result(&self.session, self.ema.as_ref());
        let progress = Progress { epoch, steps: self.step };
        let emit = |event| self.channels.events.send(event).unwrap_or_default();
        let file = self.saver.save(&network, name, progress, &emit)?;
        if self.session.recipe.output.save_state == SaveState::Always {
            self.save_state(name)?;
        }
        Ok(file)
    }

    /// Saves the state that belongs to the file `name`.
    pub(super) fn save_state(&self, name: &str) -> Result<()> {
        if !self.channels.processes.is_first() {
            return Ok(());
        }
        let dir = self.session.recipe.output.dir.join(file_names::state_of(name));
        let position = Position {
            step: self.step,
            seed: self.session.recipe.train.seed,
            split_seed: self.session.recipe.data.hold_out.run_seed,
            held_out: validate::names(&self.session.dataset),
            batches_per_epoch: self.session.length.batches_per_epoch,
        };
        state::save(&dir, &self.session.network, &self.updater, self.ema.as_ref(), &position, &self.average)?;
        self.emit(Event::Saved(dir));
        Ok(())
    }
}
