//! The file that a name in a prompt means.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Letters of a name that is not found, by which its nearest are looked for.
const LONGEST_NAME: usize = 100;

/// The file that `name` means: a path, or the name without suffix of a `.safetensors` file directly in one of `folders`,
/// which are searched in order.
///
/// # Errors
/// Lists the folders and the names there that are nearest to `name`.
pub fn find_lora(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_file() && path.extension().is_some() {
        return Ok(path.to_owned());
    }
    let file_name = if name.ends_with(".safetensors") { name.to_owned() } else { format!("{name}.safetensors") };
    let places = folders.iter().map(PathBuf::as_path).chain([Path::new("")]);
    if let Some(found) = places.map(|folder| folder.join(&file_name)).find(|path| path.is_file()) {
        return Ok(found);
    }
    let mut known: Vec<String> = folders.iter().flat_map(|folder| stems(folder)).collect();
    // A name may be as long as a prompt, and is compared with every file.
    let begin: String = name.chars().take(LONGEST_NAME).collect();
    known.sort_by_cached_key(|stem| (strsim::damerau_levenshtein(stem, &begin), stem.clone()));
    known.dedup();
    known.truncate(5);
    let folders: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let there = if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) };
    bail!("no LoRA `{name}` in {}; {there}; name another folder with --lora_dir", folders.join(" or "))
}

/// Names without suffix of the `.safetensors` files in `folder`; none if it cannot be read.
fn stems(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "safetensors"));
    files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
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
