//! What killed runs left: half-written files and folders of states without a state. The next run of that name removes them.

use std::path::{Path, PathBuf};

use lorabake_recipe::count;
use lorabake_recipe::output::Output;
use lorabake_weights::file_names::{moment, moment_of_state};
use lorabake_weights::part_file::abandoned;

/// Targets of part files are cut from here on, in bytes.
const CUT: usize = 96;

/// Removes them; what there is to tell of that.
pub(crate) fn remove(output: &Output) -> Option<String> {
    let mut parts = abandoned(&output.dir, |target| is_ours(target, &output.name));
    parts.extend(abandoned(&output.dir.join("sample"), |target| target.starts_with(&format!("{}_", output.name))));
    let mut states = Vec::new();
    for entry in std::fs::read_dir(&output.dir).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if moment_of_state(&name, &output.name).is_some() {
            parts.extend(abandoned(&entry.path(), |_| true));
            states.push(entry.path());
        }
    }
    let removed = delete(parts);
    for state in states {
        // Only if nothing is left in it.
        std::fs::remove_dir(state).ok();
    }
    removed.note(&output.dir)
}

/// Removes half-written files of latents from a folder of images; what there is to tell of that.
pub(crate) fn remove_latents(folder: &Path) -> Option<String> {
    delete(abandoned(folder, |_| true)).note(folder)
}

/// What was deleted.
struct Removed {
    files: usize,
    bytes: u64,
}

impl Removed {
    fn note(&self, folder: &Path) -> Option<String> {
        if self.files == 0 {
            return None;
        }
        let megabytes = self.bytes as f64 / 1e6;
        let folder = folder.display();
        Some(format!(
            "{folder}: removed {} that a killed run left ({megabytes:.1} MB)",
            count(self.files, "half-written file")
        ))
    }
}

fn delete(files: Vec<PathBuf>) -> Removed {
    let mut removed = Removed { files: 0, bytes: 0 };
    for file in files {
        let size = file.metadata().map_or(0, |about| about.len());
        if std::fs::remove_file(&file).is_ok() {
            removed.files += 1;
            removed.bytes += size;
        }
    }
    removed
}

/// Whether a part file with this target is of a run named `name`.
fn is_ours(target: &str, name: &str) -> bool {
    let kept = target.strip_prefix(name).is_some_and(|rest| rest.starts_with(".old-"));
    kept || moment(target, name).is_some()
        || target.len() >= CUT && (name.starts_with(target) || target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_are_other_runs() {
        let long = "n".repeat(120);
        for (target, name, ours) in [
            ("p.safetensors", "p", true),
            ("p-step00000001.safetensors", "p", true),
            ("p.old-20261130-073500.safetensors", "p", true),
            ("p2.safetensors", "p", false),
            ("p-2.safetensors", "p", false),
            (&long[..100], &long, true),
        ] {
            assert_eq!(is_ours(target, name), ours, "{target}");
        }
    }
}
