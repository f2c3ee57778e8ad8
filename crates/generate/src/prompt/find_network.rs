//! The file that a name in a prompt or a setting means.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Letters of a name that is not found, by which its nearest are looked for.
const LONGEST_NAME: usize = 100;

/// What is looked for.
struct Kind {
    /// In messages.
    name: &'static str,
    /// The option that names its folders.
    option: &'static str,
    /// What its files end with, in the order in which they are tried.
    suffixes: &'static [&'static str],
}

const LORA: Kind = Kind { name: "LoRA", option: "--lora_dir", suffixes: &["safetensors"] };
const HYPERNETWORK: Kind =
    Kind { name: "hypernetwork", option: "--hypernetwork_dir", suffixes: &["pt", "safetensors"] };
const UPSCALER: Kind = Kind { name: "upscaler", option: "--upscaler_dir", suffixes: &["pth", "safetensors", "pt"] };

/// The LoRA that `name` means: a path, or the name without suffix of a file directly in one of `folders`, which are searched
/// in order.
///
/// # Errors
/// Lists the folders and the names there that are nearest to `name`.
pub fn find_lora(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    LORA.find(name, folders)
}

/// The hypernetwork that `name` means, as [`find_lora`].
///
/// # Errors
/// As [`find_lora`].
pub fn find_hypernetwork(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    HYPERNETWORK.find(name, folders)
}

/// The upscaler that `name` means, as [`find_lora`].
///
/// # Errors
/// As [`find_lora`].
pub fn find_upscaler(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    UPSCALER.find(name, folders)
}

impl Kind {
    fn find(&self, name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
        let path = Path::new(name);
        if path.is_file() && path.extension().is_some() {
            return Ok(path.to_owned());
        }
        let places = folders.iter().map(PathBuf::as_path).chain([Path::new("")]);
        for place in places {
            for suffix in self.suffixes {
                let full = format!(".{suffix}");
                let file = if name.ends_with(&full) { name.to_owned() } else { format!("{name}{full}") };
                let path = place.join(file);
                if path.is_file() {
                    return Ok(path);
                }
            }
        }
        bail!("{}", self.missing(name, folders))
    }

    /// That there is none, and which there are.
    fn missing(&self, name: &str, folders: &[PathBuf]) -> String {
        let Self { name: kind, option, .. } = self;
        let mut known: Vec<String> = folders.iter().flat_map(|folder| self.stems(folder)).collect();
        // A name may be as long as a prompt, and is compared with every file.
        let begin: String = name.chars().take(LONGEST_NAME).collect();
        known.sort_by_cached_key(|stem| (strsim::damerau_levenshtein(stem, &begin), stem.clone()));
        known.dedup();
        known.truncate(5);
        if folders.is_empty() {
            return format!("no {kind} `{begin}`; name the folder that has it with {option}");
        }
        let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let there =
            if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
        format!("no {kind} `{begin}` in {}; {there}; name another folder with {option}", folders.join(" or "))
    }

    /// Names without suffix of such files in `folder`; none if it cannot be read.
    fn stems(&self, folder: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut stems = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let suffix = path.extension().map(|suffix| suffix.to_string_lossy().into_owned());
            if self.suffixes.iter().any(|own| suffix.as_deref() == Some(own))
                && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
            {
                stems.push(stem.to_owned());
            }
        }
        stems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_is_found_by_name_or_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["penny.safetensors", "penny-000001.safetensors", "notes.txt"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let places = ["missing".into(), folder.path().to_owned()];
        assert_eq!(find_lora("penny", &places).unwrap(), path("penny.safetensors"));
        assert_eq!(find_lora("penny-000001.safetensors", &places).unwrap(), path("penny-000001.safetensors"));
        assert_eq!(find_lora(path("penny").to_str().unwrap(), &[]).unwrap(), path("penny.safetensors"));
        let error = find_lora("peny", &places).unwrap_err().to_string();
        assert!(error.contains("no LoRA `peny`"), "{error}");
        assert!(error.contains("there are penny, penny-000001; name another folder"), "{error}");
    }
}
