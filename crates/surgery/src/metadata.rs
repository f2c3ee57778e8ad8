//! Text metadata of a result. Hashes of the files that it is made of are computed while it is made: of large models they take as
//! long as the work itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::JoinHandle;

use lorabake_weights::Error as FileError;
use lorabake_weights::metadata::hashes::ModelHashes;

use crate::error::{Error, Result};

/// Under this key a merged file keeps how it was made, as TOML.
pub const RECIPE: &str = "lorabake_merge";

/// Text metadata, perhaps with places for hashes that are not known yet.
#[derive(Debug, Default)]
pub struct Metadata {
    entries: BTreeMap<String, String>,
    hashes: Vec<Hash>,
}

/// The SHA-256 of a file in the making.
#[derive(Debug)]
pub struct Hash {
    path: PathBuf,
    place: String,
    thread: JoinHandle<std::io::Result<ModelHashes>>,
}

impl Hash {
    /// Begins to hash a file, the `number`th of a result.
    pub fn of(path: PathBuf, number: usize) -> Self {
        // As long as the hash, and what no text says by chance.
        let place = format!("{number:0>8}:the.hash.of.this.file.is.not.known.before.all.is.read");
        let thread = ModelHashes::in_background(path.clone());
        Self { place: format!("{place:.<64}"), path, thread }
    }

    /// What stands in the metadata where the hash will be.
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl From<BTreeMap<String, String>> for Metadata {
    fn from(entries: BTreeMap<String, String>) -> Self {
        Self { entries, hashes: Vec::new() }
    }
}

impl Metadata {
    /// Metadata in whose recipe these hashes have places.
    pub fn with_hashes(entries: BTreeMap<String, String>, hashes: Vec<Hash>) -> Self {
        Self { entries, hashes }
    }

    /// The entries as they are now; with all hashes they are as long or shorter.
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.entries
    }

    /// The entries with all hashes, for which this waits.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn finished(self) -> Result<BTreeMap<String, String>> {
        let Self { mut entries, hashes } = self;
        for Hash { path, place, thread } in hashes {
            let read = |source| Error::from(FileError::Read { file: path.display().to_string(), source });
            let hash = thread.join().expect("hashing does not panic").map_err(read)?;
            if let Some(recipe) = entries.get_mut(RECIPE) {
                *recipe = recipe.replace(&place, &hash.sha256);
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_come_to_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "abc").unwrap();
        let hashes = vec![Hash::of(path.clone(), 0), Hash::of(folder.path().into(), 1)];
        let text = format!("a = \"{}\"\nb = \"{}\"", hashes[0].place(), hashes[1].place());
        let entries = BTreeMap::from([(RECIPE.to_string(), text), ("other".to_string(), "stays".to_string())]);
        let metadata = Metadata::with_hashes(entries, hashes);
        let room = metadata.entries()[RECIPE].len();
        let entries = metadata.finished().unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(entries[RECIPE].starts_with(&format!("a = \"{known}\"")), "{entries:?}");
        assert!(entries[RECIPE].len() <= room && !entries[RECIPE].contains("not.known"));
        assert_eq!(entries["other"], "stays");
        let lost = Metadata::with_hashes(BTreeMap::new(), vec![Hash::of(folder.path().join("none"), 0)]);
        assert!(lost.finished().unwrap_err().to_string().contains("none"));
    }
}
