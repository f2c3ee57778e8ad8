//! Names of files and folders as text, and how they are compared.

use std::path::{Path, PathBuf};

/// Whether the file system takes names that differ in case for the same, as those of Windows and macOS do unless told
/// otherwise. sd-scripts asks the file system for the caption of an image, so there `A.png` has its caption in `a.txt`.
pub(crate) const IGNORES_CASE: bool = cfg!(any(windows, target_os = "macos"));

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The last part of a path without its extension.
pub(crate) fn stem(path: &Path) -> String {
    name(&path.with_extension(""))
}

/// What two names have in common if they stand for the same file.
pub(crate) fn comparable(name: &str, ignores_case: bool) -> String {
    if ignores_case { name.to_lowercase() } else { name.to_owned() }
}

/// The stem of a path as this system compares it.
pub(crate) fn comparable_stem(path: &Path) -> String {
    comparable(&stem(path), IGNORES_CASE)
}

/// A path of which all that stand for the same file of a folder have the same.
pub fn comparable_path(path: &Path) -> PathBuf {
    path.with_file_name(comparable(&name(path), IGNORES_CASE))
}

/// The whole path of a folder, as a user would write it; as it is if the folder is not there.
pub fn full(dir: &Path) -> PathBuf {
    match std::fs::canonicalize(dir) {
        Ok(path) => as_typed(path),
        Err(_) => dir.to_owned(),
    }
}

/// The folder around a folder, as typed if it was typed.
pub(crate) fn around(dir: &Path) -> Option<PathBuf> {
    match dir.parent() {
        Some(typed) if !typed.as_os_str().is_empty() => Some(typed.to_owned()),
        _ => full(dir).parent().map(Path::to_owned),
    }
}

/// A path without the `\\?\` that Windows puts before canonical ones, where it can be left out.
fn as_typed(path: PathBuf) -> PathBuf {
    let Some(text) = path.to_str() else { return path };
    if let Some(share) = text.strip_prefix(r"\\?\UNC\") {
        return PathBuf::from(format!(r"\\{share}"));
    }
    match text.strip_prefix(r"\\?\") {
        // Behind other prefixes than those of a drive it may have a meaning.
        Some(rest) if rest.as_bytes().get(1) == Some(&b':') => PathBuf::from(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_paths_are_shown_as_users_write_them() {
        let shown = |path: &str| as_typed(PathBuf::from(path)).display().to_string();
        assert_eq!(shown(r"\\?\C:\images\4_penny"), r"C:\images\4_penny");
        assert_eq!(shown(r"\\?\UNC\server\share\4_penny"), r"\\server\share\4_penny");
        assert_eq!(shown(r"\\?\Volume{1}\x"), r"\\?\Volume{1}\x");
        assert_eq!(shown("/images/4_penny"), "/images/4_penny");
    }

    #[test]
    fn case_counts_where_the_file_system_says_so() {
        assert_eq!(comparable("Caf\u{c9}.A", true), comparable("caf\u{e9}.a", true));
        assert_ne!(comparable("A", false), comparable("a", false));
    }
}
