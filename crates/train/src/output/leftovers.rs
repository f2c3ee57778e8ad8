//! What killed runs left: half-written files and folders of states without a state. The next run of that name removes them.

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
    let mut removed = 0;
    let mut bytes = 0;
    for part in parts {
        let size = part.metadata().map_or(0, |about| about.len());
        if std::fs::remove_file(&part).is_ok() {
            removed += 1;
            bytes += size;
        }
    }
    for state in states {
        // Only if nothing is left in it.
        std::fs::remove_dir(state).ok();
    }
    if removed == 0 {
        return None;
    }
    let dir = output.dir.display();
    let megabytes = bytes as f64 / 1e6;
    Some(format!("{dir}: removed {removed} half-written files that a killed run left ({megabytes:.1} MB)"))
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
