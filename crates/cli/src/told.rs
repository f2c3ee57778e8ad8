//! Notes that are told once, however often they come up: of several trainings and pictures most have the same.

use std::collections::BTreeSet;

use crate::terminal;

/// Notes that were told.
#[derive(Debug, Default)]
pub struct Told(BTreeSet<String>);

impl Told {
    /// Whether `note` was not told yet; now it counts as told.
    pub fn is_new(&mut self, note: &str) -> bool {
        self.0.insert(note.to_owned())
    }

    /// Prints a note, unless it was told.
    pub fn say(&mut self, note: &str) {
        if self.is_new(note) {
            terminal::say(&format!("note: {note}"));
        }
    }
}
