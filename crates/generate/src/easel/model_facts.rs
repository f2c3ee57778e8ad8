//! What pictures tell of their checkpoint. Its hash takes seconds and is made while the first picture is painted.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use lorabake_recipe::model::Checkpoint;
use lorabake_weights::metadata::ModelHashes;

use crate::{embedded, file_hashes};

/// What is told of a checkpoint and of a VAE of its own.
#[derive(Debug)]
pub struct ModelFacts {
    /// File name of the checkpoint without suffix.
    pub name: String,
    /// File name of the VAE, if it is not the checkpoint's.
    pub vae: Option<String>,
    /// Whether it is the model inside the program.
    pub is_embedded: bool,
    hashing: Hashing,
}

/// First 10 hex digits of files' SHA-256; none for a folder, or a file that cannot be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashes {
    pub model: Option<String>,
    pub vae: Option<String>,
}

#[derive(Debug)]
enum Hashing {
    Running(JoinHandle<Hashes>),
    Done(Hashes),
}

impl ModelFacts {
    /// Of a checkpoint, and the VAE that takes the place of its own.
    pub fn of(checkpoint: &Checkpoint, vae: Option<&Path>) -> Self {
        let which = checkpoint.clone();
        let vae_path = vae.map(Path::to_owned);
        let running = std::thread::spawn(move || Hashes {
            model: match which {
                Checkpoint::Embedded => file_hashes::short_model_hash(&ModelHashes::of_bytes(embedded::bytes())),
                Checkpoint::File(path) => hash_of(path),
            },
            vae: vae_path.and_then(hash_of),
        });
        let vae = vae.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let is_embedded = matches!(checkpoint, Checkpoint::Embedded);
        Self { name: model_name(checkpoint), vae, is_embedded, hashing: Hashing::Running(running) }
    }

    /// First 10 hex digits of the checkpoint's SHA-256, waited for; none for a folder.
    pub fn model_hash(&mut self) -> Option<String> {
        self.hashes().model
    }

    /// Waits for the hashes.
    pub(super) fn hashes(&mut self) -> Hashes {
        let hashes = match std::mem::replace(&mut self.hashing, Hashing::Done(Hashes::default())) {
            Hashing::Running(running) => running.join().unwrap_or_default(),
            Hashing::Done(hashes) => hashes,
        };
        self.hashing = Hashing::Done(hashes.clone());
        hashes
    }
}

fn hash_of(path: PathBuf) -> Option<String> {
    file_hashes::short_model_hash(&ModelHashes::of_file(&path).ok()?)
}

/// File name without suffix, as the web UI calls a model.
pub fn model_name(checkpoint: &Checkpoint) -> String {
    let path = match checkpoint {
        Checkpoint::Embedded => Path::new(embedded::NAME),
        Checkpoint::File(path) => path,
    };
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
