//! The end of a run, whatever comes: its result goes where there is room, and so does what was learned before a step that
//! failed.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use lorabake_recipe::output::SaveState;
use lorabake_weights::file_names;

use super::failure::{StepFailure, chain};
use super::{Bake, wants_stop};
use crate::event::Event;
use crate::update::finite::{NotFinite, absurdly_large};

/// Pauses before a file that cannot be written is tried again in its place.
const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// How long somebody has for making room, once no place has any: a run of the night is found in the morning.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How often that is tried.
const INTERVAL: Duration = Duration::from_secs(10);
/// Longest name of a file that is saved elsewhere, without its suffix, in bytes.
const LONGEST: usize = 150;

/// A file that could be saved.
struct Placed {
    file: PathBuf,
    /// Why it is not in the output folder.
    moved: Option<anyhow::Error>,
}

impl Bake<'_> {
    /// Saves the result of the run, and its state.
    ///
    /// # Errors
    /// When the result cannot be saved in its place, saying where it is instead.
    pub(super) fn save_result(&mut self, epoch: u64) -> Result<PathBuf> {
        let output = &self.session.recipe.output;
        let saves_state = output.save_state != SaveState::Never;
        let name = file_names::last(&output.name);
        let placed = self.place(&name, epoch)?;
        if saves_state && let Err(error) = self.save_state(&name) {
            self.emit(Event::Note(format!("{}; the run cannot be gone on with from here", chain(&error))));
        }
        match placed.moved {
            None => Ok(placed.file),
            Some(why) => {
                let file = placed.file.display();
                Err(anyhow!("{}; the LoRA is in {file} instead, move it from there", chain(&why)))
            }
        }
    }

    /// Keeps what was learned before a step that failed; the error then says where it is.
    pub(super) fn rescue(&mut self, failure: StepFailure, epoch: u64) -> anyhow::Error {
        let (error, can_go_on) = match failure {
            StepFailure::Computing(error) => (error, true),
            StepFailure::Updating(error) => (error, false),
        };
        if self.step == self.first_step {
            return error;
        }
        let name = file_names::at_step(&self.session.recipe.output.name, self.step);
        let placed = match self.place(&name, epoch + 1) {
            Ok(placed) => placed,
            Err(why) => {
                return error.context(format!("the run ended, and what was learned cannot be saved: {}", chain(&why)));
            }
        };
        let mut text = format!(
            "the run ended in step {}; what was learned until then is in {}",
            self.step + 1,
            placed.file.display()
        );
        if let Some(largest) = absurdly_large(&self.result()) {
            text += &format!(
                ", most likely of no use, since its weights are as large as {largest:.0e} (lower the learning rates)"
            );
        }
        if let Some(why) = placed.moved {
            text += &format!(" ({})", chain(&why));
        }
        if let Some(best) = self.save_best() {
            text += &format!(", and the best that was judged in {}", best.display());
        }
        if can_go_on && let Err(why) = self.save_state(&name) {
            self.emit(Event::Note(format!("{}; the run cannot be gone on with from there", chain(&why))));
        }
        match &self.last_state {
            Some(state) if state.step == self.step => {
                text += &format!(", and --resume {} goes on from there", state.dir.display());
            }
            Some(state) => text += &format!(", and --resume {} goes on from step {}", state.dir.display(), state.step),
            None => {}
        }
        error.context(text)
    }

    /// Saves the network as `name` in the output folder, else in the working folder or in that for temporary files.
    ///
    /// # Errors
    /// When a weight is not finite, or nobody has made room in any of them for a day.
    fn place(&mut self, name: &str, epoch: u64) -> Result<Placed> {
        let file = self.session.recipe.output.dir.join(name);
        // The room that was held is for this.
        if let Some(claim) = &mut self.claim {
            claim.give_room();
        }
        let mut failure = match self.save_network(file.clone(), epoch) {
            Ok(()) => return Ok(Placed { file, moved: None }),
            Err(error) if error.is::<NotFinite>() => return Err(error),
            Err(error) => error,
        };
        for pause in PAUSES {
            thread::sleep(pause);
            match self.save_network(file.clone(), epoch) {
                Ok(()) => return Ok(Placed { file, moved: None }),
                Err(error) => failure = error,
            }
        }
        let began = Instant::now();
        let mut told = false;
        loop {
            for folder in [PathBuf::from("."), std::env::temp_dir()] {
                let file = free_name(&folder, name);
                if self.save_network(file.clone(), epoch).is_ok() {
                    return Ok(Placed { file, moved: Some(failure) });
                }
            }
            if !told {
                self.ask_for_room(&failure);
                told = true;
            }
            if began.elapsed() > PATIENCE || !self.waits() {
                let temporary = std::env::temp_dir();
                bail!("{}; neither the working folder nor {} has room", chain(&failure), temporary.display());
            }
            if self.save_network(file.clone(), epoch).is_ok() {
                return Ok(Placed { file, moved: None });
            }
        }
    }

    fn ask_for_room(&self, failure: &anyhow::Error) {
        let text = format!(
            "{}; the LoRA cannot be saved anywhere, make room: it is tried again every {} seconds for {} hours, Ctrl-C \
             gives it up",
            chain(failure),
            INTERVAL.as_secs(),
            PATIENCE.as_secs() / 3600
        );
        self.emit(Event::Note(text));
    }

    /// Waits a while; `false` if somebody wants to wait no longer.
    fn waits(&self) -> bool {
        let began = Instant::now();
        while began.elapsed() < INTERVAL {
            if wants_stop(self.channels.commands) {
                return false;
            }
            thread::sleep(Duration::from_millis(100));
        }
        true
    }
}

/// A path in `folder` that nothing has yet, for a file called `name` or nearly so.
fn free_name(folder: &Path, name: &str) -> PathBuf {
    let stem = file_names::cut(name.trim_end_matches(".safetensors"), LONGEST);
    let mut file = folder.join(file_names::last(stem));
    let mut number = 2;
    while file.exists() {
        file = folder.join(file_names::last(&format!("{stem}-{number}")));
        number += 1;
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let first = free_name(folder.path(), "a.safetensors");
        assert_eq!(first, folder.path().join("a.safetensors"));
        std::fs::write(&first, "").unwrap();
        assert_eq!(free_name(folder.path(), "a.safetensors"), folder.path().join("a-2.safetensors"));
        let long = free_name(folder.path(), &file_names::last(&"é".repeat(120)));
        assert_eq!(long.file_name().unwrap().len(), 150 + ".safetensors".len());
    }
}
