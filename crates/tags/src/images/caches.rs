//! Latents that trainers keep beside an image in `.npz` files: sd-scripts takes them for those of the image as long as they have
//! its name, so that they go when the image is edited.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The cache files beside images; each folder is listed once.
#[derive(Debug, Default)]
pub struct Caches {
    by_folder: HashMap<PathBuf, Vec<String>>,
}

impl Caches {
    /// The cache files of an image's latents: `a.npz`, `a_0512x0768_sd.npz` and the like. Cached texts are others.
    pub fn of(&mut self, image: &Path) -> Vec<PathBuf> {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = image.parent().unwrap_or(image).to_owned();
        let names = self.by_folder.entry(folder).or_insert_with_key(|folder| caches_in(folder));
        let mut caches = Vec::new();
        for name in names {
            if let Some(rest) = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".npz"))
                && (rest.is_empty() || is_size(rest))
            {
                caches.push(image.with_file_name(name));
            }
        }
        caches
    }
}

/// The names of all cache files in a folder, sorted.
fn caches_in(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".npz") {
            names.push(name);
        }
    }
    names.sort();
    names
}

/// Whether it is `_0512x0768`, with or without a family behind it.
fn is_size(text: &str) -> bool {
    let Some(text) = text.strip_prefix('_') else { return false };
    let size = text.split('_').next().unwrap_or_default();
    let Some((width, height)) = size.split_once('x') else { return false };
    [width, height].iter().all(|side| !side.is_empty() && side.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_latents_of_the_image_are_stale() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "a.png",
            "a.npz",
            "a_0512x0768_sd.npz",
            "a_0512x0768.npz",
            "a_te_outputs.npz",
            "a_b.npz",
            "ab.npz",
            "b_0512x0768_sd.npz",
            "a_b_0512x0768_sd.npz",
        ] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let caches = Caches::default().of(&folder.path().join("a.png"));
        let names: Vec<_> = caches.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.npz", "a_0512x0768.npz", "a_0512x0768_sd.npz"]);
    }
}
