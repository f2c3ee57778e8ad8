//! A judgement that is done: kept beside the LoRAs, so that the same command again is done at once.

use anyhow::Result;
use lorabake_judge::Report;
use lorabake_judge::runs::Run;
use lorabake_judge::shelf::{Shelf, content, stamp};
use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;
use serde::{Deserialize, Serialize};

use super::against::Other;

/// A judgement with its page.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finished {
    /// The page, with its pictures.
    pub page: String,
    /// All that is known.
    pub report: Report,
}

impl Finished {
    /// The judgement of this key, if it was done before.
    pub fn read(shelf: &Shelf, key: &str) -> Option<Self> {
        shelf.read(key)
    }

    /// Keeps it. Its pictures are in the page, so that those that were painted for it may go.
    pub fn keep(&self, shelf: &Shelf, key: &str) {
        shelf.keep(key, self);
        shelf.forget_pictures();
    }
}

/// What a judgement of `run` depends on beside its recipe and options: all snapshots and checkpoints.
///
/// # Errors
/// When a snapshot cannot be read.
pub fn key(run: &Run, recipe: &Recipe, others: &[Other]) -> Result<String> {
    let mut key = format!("report {}", run.name);
    for snapshot in &run.snapshots {
        key += &format!(" {:?} {}", snapshot.path, content(&snapshot.path)?);
    }
    let files = others.iter().map(|other| &other.checkpoint).chain([&recipe.model.checkpoint]);
    for checkpoint in files {
        if let Checkpoint::File(path) = checkpoint {
            key += &format!(" {} {}", path.display(), stamp(path));
        }
    }
    Ok(key)
}
