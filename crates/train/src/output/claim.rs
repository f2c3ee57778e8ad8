//! What a run holds of its output folder while it trains: its name there, and room for its result.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_recipe::output::{Output, SaveState};
use lorabake_weights::disk_room::{self, HeldRoom};
use lorabake_weights::file_names;

use super::earlier::resumes_itself;
use super::leftovers;
use super::run_lock::RunLock;
use crate::event::{Emit, Event};

/// The output folder as far as a run holds it; what is held is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    lock: Option<RunLock>,
    room: Option<HeldRoom>,
    /// The folder, if the run has made it: it goes again unless there is something in it.
    made: Option<PathBuf>,
}

impl Claim {
    /// Makes the folder, removes what killed runs of this name left there, and holds room for a LoRA of so many bytes.
    ///
    /// # Errors
    /// When another run writes under this name, or there is no room.
    pub fn take(output: &Output, bytes: u64, emit: &Emit<'_>) -> Result<Self> {
        let dir = &output.dir;
        let mut claim = Self { lock: None, room: None, made: None };
        if !dir.is_dir() {
            std::fs::create_dir_all(dir).with_context(|| format!("--output_dir {}: cannot be made", dir.display()))?;
            claim.made = Some(dir.clone());
        }
        claim.lock = RunLock::take(output)?;
        if let Some(note) = leftovers::remove(output) {
            emit(Event::Note(note));
        }
        if let Some(note) = replaced_state(output) {
            emit(Event::Note(note));
        }
        let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        claim.room = match disk_room::hold(here, bytes) {
            Ok(room) => Some(room),
            Err(error) if says_full(&error) => {
                let file = dir.join(file_names::last(&output.name));
                let megabytes = bytes as f64 / 1e6;
                bail!(
                    "--output_dir: cannot save {}: {error}; make room for {megabytes:.1} MB, or choose another folder",
                    file.display()
                );
            }
            // Some file systems have no files without names.
            Err(_) => None,
        };
        Ok(claim)
    }

    /// Gives the room back, for the file that it was held for.
    pub fn give_room(&mut self) {
        self.room = None;
    }
}

/// A note about a state of an earlier run that this one will replace.
pub(crate) fn replaced_state(output: &Output) -> Option<String> {
    let state = output.dir.join(file_names::state_of(&file_names::last(&output.name)));
    if output.save_state == SaveState::Never || resumes_itself(output) || !state.is_dir() {
        return None;
    }
    let state = state.display();
    Some(format!(
        "{state}: the state of an earlier run, which this run replaces at its end; give --resume {state} to go on from it, \
         or another --output_name to keep it"
    ))
}

/// Whether there is too little room.
fn says_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), FileTooLarge | QuotaExceeded | StorageFull)
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.lock = None;
        if let Some(made) = &self.made {
            // Only if nothing was saved.
            std::fs::remove_dir(made).ok();
        }
    }
}
