//! The snapshots of a run, found by name: sd-scripts' `NAME-000003.safetensors` after an epoch, `NAME-step00000300.safetensors`
//! after a step, and `NAME.safetensors` at the end.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// When a snapshot was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Saved {
    /// After this step.
    Step(u64),
    /// After this epoch.
    Epoch(u64),
    /// At the end.
    End,
}

/// A LoRA that a run saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// When it was saved.
    pub saved: Saved,
}

/// The LoRAs of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The folder that they lie in.
    pub folder: PathBuf,
    /// The name that they share (`--output_name`).
    pub name: String,
    /// Steps first, then epochs, each in order, the last one at the end.
    pub snapshots: Vec<Snapshot>,
}

impl Run {
    /// The run that `path` means: a LoRA of it, the path of its files without number and suffix, or a folder that holds the
    /// files of one run alone.
    ///
    /// # Errors
    /// When there are no snapshots there, or those of several runs.
    pub fn find(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::only_one_in(path);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let typed = path.file_name().unwrap_or_default().to_string_lossy();
        let (name, _) = split(typed.strip_suffix(".safetensors").unwrap_or(&typed));
        let run = Self::named(folder, name)?;
        if run.snapshots.is_empty() {
            bail!(
                "{}: there is no {name}.safetensors and no snapshot of it; name a LoRA or its folder",
                path.display()
            );
        }
        Ok(run)
    }

    fn only_one_in(folder: &Path) -> Result<Self> {
        let mut names: Vec<String> = files(folder)?.iter().map(|stem| split(stem).0.to_owned()).collect();
        names.sort();
        names.dedup();
        match names.as_slice() {
            [] => bail!("{}: there is no .safetensors file in it; name the folder of a run", folder.display()),
            [name] => Self::named(folder, name),
            several => bail!(
                "{}: it holds the files of {} runs ({}); name one, for instance {}",
                folder.display(),
                several.len(),
                several.join(", "),
                folder.join(&several[0]).display()
            ),
        }
    }

    fn named(folder: &Path, name: &str) -> Result<Self> {
        let mut snapshots = Vec::new();
        for stem in files(folder)? {
            let (of, saved) = split(&stem);
            if of == name {
                snapshots.push(Snapshot { path: folder.join(format!("{stem}.safetensors")), saved });
            }
        }
        snapshots.sort_by_key(|snapshot| snapshot.saved);
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), snapshots })
    }
}

/// Names of the .safetensors files of a folder, without suffix.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut stems = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".safetensors")) {
            stems.push(stem.to_owned());
        }
    }
    Ok(stems)
}

/// The run's name and the moment in a file's name without suffix.
fn split(stem: &str) -> (&str, Saved) {
    let Some((name, moment)) = stem.rsplit_once('-') else { return (stem, Saved::End) };
    let number = |digits: &str, wide: usize| -> Option<u64> {
        let is_number = digits.len() >= wide && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse().ok() } else { None }
    };
    if let Some(step) = moment.strip_prefix("step").and_then(|digits| number(digits, 8)) {
        return (name, Saved::Step(step));
    }
    match number(moment, 6) {
        Some(epoch) => (name, Saved::Epoch(epoch)),
        None => (stem, Saved::End),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        folder
    }

    #[test]
    fn snapshots_are_found_in_their_order() {
        let files = ["a.safetensors", "a-000010.safetensors", "a-000002.safetensors", "a-step00000100.safetensors"];
        let folder =
            folder(&[&files[..], &["a-b.safetensors", "ab-000001.safetensors", "a-000002-state.txt"]].concat());
        for typed in ["a", "a.safetensors", "a-000002.safetensors", "a-000002"] {
            let run = Run::find(&folder.path().join(typed)).unwrap();
            assert_eq!(run.name, "a", "{typed}");
            let saved: Vec<_> = run.snapshots.iter().map(|snapshot| snapshot.saved).collect();
            assert_eq!(saved, [Saved::Step(100), Saved::Epoch(2), Saved::Epoch(10), Saved::End]);
        }
        let error = Run::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("it holds the files of 3 runs (a, a-b, ab)"), "{error}");
        assert!(Run::find(&folder.path().join("c")).unwrap_err().to_string().contains("there is no c.safetensors"));
    }

    #[test]
    fn a_folder_of_one_run_needs_no_name() {
        let run = Run::find(folder(&["x-y.safetensors", "x-y-000001.safetensors"]).path()).unwrap();
        assert_eq!((run.name.as_str(), run.snapshots.len()), ("x-y", 2));
        assert!(Run::find(folder(&["notes.txt"]).path()).unwrap_err().to_string().contains("there is no .safetensors"));
    }
}
