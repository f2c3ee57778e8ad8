//! Running numbers of files.

use std::path::Path;

/// The number behind the highest that a file in `folder` has, 0 where there is none. With a `name` only files
/// `NAME-NUMBER…` count, without one those that begin with their number.
pub fn next_number(folder: &Path, name: &str) -> u64 {
    let mut next = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Some(number) = entry.file_name().to_str().and_then(|file| number_of(file, name)) {
            next = next.max(number.saturating_add(1));
        }
    }
    next
}

fn number_of(file: &str, name: &str) -> Option<u64> {
    let rest = if name.is_empty() { file } else { file.strip_prefix(name)?.strip_prefix('-')? };
    let stem = rest.rsplit_once('.').map_or(rest, |(stem, _)| stem);
    stem.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_behind_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(next_number(folder.path(), ""), 0);
        assert_eq!(next_number(&folder.path().join("none"), ""), 0);
        for file in ["00007-1.png", "00003.png", "grid-0041.png", "grid-x.png", "xyz_grid-0002-9.png", "notes.txt"] {
            std::fs::write(folder.path().join(file), "x").unwrap();
        }
        assert_eq!(next_number(folder.path(), ""), 8);
        assert_eq!(next_number(folder.path(), "grid"), 42);
        assert_eq!(next_number(folder.path(), "xyz_grid"), 3);
    }
}
