//! What is kept of a run in `gachamax.json`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_weights::whole_file;
use serde::{Deserialize, Serialize};

/// The form of the file that this program writes.
const FORM: u32 = 1;
/// More bytes than any run writes.
const MOST_BYTES: u64 = 64 << 20;

/// A run from its originals to its last LoRA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The form of the file.
    pub form: u32,
    /// What LoRAs and folders are called.
    pub name: String,
    /// Where randomness starts.
    pub seed: u64,
    /// The images that it began with.
    pub originals: Vec<Original>,
    /// The rounds so far; the last one may be at work.
    pub rounds: Vec<Round>,
}

/// An image that the run began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Its name in `originals`.
    pub file: String,
    /// What its caption says.
    pub caption: String,
}

/// A LoRA, its pictures, and the choice among them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Images that the LoRA is trained on, by their paths in the run's folder.
    pub images: Vec<String>,
    /// The words of the command line that its training took.
    pub options: Vec<String>,
    /// Steps of the training; 0 = it is not at its end yet.
    pub steps: u64,
    /// The pictures that are asked for.
    pub candidates: Vec<Candidate>,
    /// How often other pictures were asked for, because none was chosen.
    pub tries: u32,
    /// How many pictures were asked for in those tries.
    #[serde(default)]
    pub asked_before: usize,
    /// All candidates are painted and compared with the originals.
    pub painted: bool,
    /// Names of those that were chosen, in the folder of candidates.
    pub kept: Vec<String>,
    /// Candidates that are more alike than one that was chosen without the user, and were passed over for their captions.
    #[serde(default)]
    pub passed_over: Vec<String>,
    /// The choice is made, and what was not chosen is out of the folder.
    pub chosen: bool,
}

/// A picture of a round's LoRA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name in the round's folder of candidates.
    pub file: String,
    /// What is painted, in the web UI's form, without the LoRA.
    pub prompt: String,
    /// What its caption says.
    pub caption: String,
    /// Seed of its noise.
    pub seed: u64,
    /// How alike it is to the nearest original, 1 = the same, less than 0 = nothing in common; none before it is painted.
    pub likeness: Option<f64>,
}

impl Run {
    /// A run that has done nothing yet.
    pub fn new(name: String, seed: u64, originals: Vec<Original>) -> Self {
        Self { form: FORM, name, seed, originals, rounds: Vec::new() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it is none of ours, or names files that lead elsewhere.
    pub fn read(path: &Path) -> Result<Self> {
        let data = std::fs::metadata(path).with_context(|| path.display().to_string())?;
        let size = data.len();
        if !data.is_file() {
            bail!("{}: it is no file; move it away", path.display());
        }
        if size > MOST_BYTES {
            bail!("{}: {size} bytes are no state of a run; move it away", path.display());
        }
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let read: Self = serde_json::from_str(&text)
            .with_context(|| format!("{}: it is no state of a run; move it away", path.display()))?;
        if read.form != FORM {
            bail!("{}: it was written by another version of lorabake; take that, or another --out", path.display());
        }
        if read.originals.is_empty() {
            bail!("{}: it names no image to begin with; move the file away", path.display());
        }
        let names = read.rounds.iter().flat_map(|round| round.candidates.iter().map(|candidate| &candidate.file));
        let originals = read.originals.iter().map(|original| &original.file);
        for name in names.chain(originals).chain([&read.name]) {
            if !is_name(name) {
                bail!("{}: `{name}` is no name of a file; move the file away", path.display());
            }
        }
        Ok(read)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        let written = whole_file::write(path, |out| out.write_all(text.as_bytes()));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Whether a name stands for a file of the folder that it is looked up in, on every system.
pub(super) fn is_name(name: &str) -> bool {
    let leads_out = name.contains(['/', '\\', ':', '\0']) || name == "." || name == "..";
    !name.is_empty() && !leads_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_back_and_a_stranger_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gachamax.json");
        let original = Original { file: "a.png".to_owned(), caption: "penny".to_owned() };
        let mut run = Run::new("penny".to_owned(), 420, vec![original]);
        run.rounds.push(Round { steps: 3, ..Round::default() });
        run.write(&path).unwrap();
        assert_eq!(Run::read(&path).unwrap(), run);
        run.originals[0].file = "../a.png".to_owned();
        run.write(&path).unwrap();
        assert!(Run::read(&path).unwrap_err().to_string().contains("`../a.png` is no name of a file"));
        std::fs::write(&path, "{}").unwrap();
        assert!(Run::read(&path).unwrap_err().to_string().contains("it is no state of a run"));
    }
}
