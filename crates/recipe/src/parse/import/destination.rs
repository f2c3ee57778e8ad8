//! Paths in presets: written on one system, read on another.

/// What stands between folders, on any system.
const SEPARATORS: [char; 2] = ['/', '\\'];

/// Where a LoRA goes, from the path of its file as any system writes it: a preset of Windows is read on Linux too.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination<'a> {
    pub(super) folder: &'a str,
    /// The file's name without the ending.
    pub(super) name: &'a str,
}

impl<'a> Destination<'a> {
    /// Takes the path apart at `/` and `\`.
    pub(super) fn of(path: &'a str) -> Self {
        let path = path.trim_end_matches(SEPARATORS);
        let Some(at) = path.rfind(SEPARATORS) else { return Self { folder: ".", name: without_ending(path) } };
        let mut folder = &path[..at];
        // The root is nothing without its separator.
        if folder.is_empty() || folder.ends_with(':') {
            folder = &path[..=at];
        }
        Self { folder, name: without_ending(&path[at + 1..]) }
    }
}

fn without_ending(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_split_as_its_system_would() {
        for (path, folder, name) in [
            ("out/penny.safetensors", "out", "penny"),
            ("penny.v2.safetensors", ".", "penny.v2"),
            (r"D:\loras\new\penny.safetensors", r"D:\loras\new", "penny"),
            (r"D:\penny.safetensors", r"D:\", "penny"),
            ("/penny", "/", "penny"),
            ("out/penny/", "out", "penny"),
        ] {
            assert_eq!(Destination::of(path), Destination { folder, name }, "{path}");
        }
    }
}
