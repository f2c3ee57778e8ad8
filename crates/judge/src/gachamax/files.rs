//! Files in the folder of a run: copies with their captions, names that are free.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_weights::whole_file;

/// An image that is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The file.
    pub path: PathBuf,
    /// What its caption says.
    pub caption: String,
}

/// Copies an image, and writes its caption beside it.
pub(super) fn copy(image: &Taken, to: &Path) -> Result<()> {
    let mut from = std::fs::File::open(&image.path)
        .with_context(|| format!("{}: it cannot be opened; correct the name", image.path.display()))?;
    let written = whole_file::write(to, |out| std::io::copy(&mut from, out).map(|_| ()));
    written.with_context(|| format!("cannot write {}", to.display()))?;
    let caption = to.with_extension("txt");
    let written = whole_file::write(&caption, |out| writeln!(out, "{}", image.caption));
    written.with_context(|| format!("cannot write {}", caption.display()))
}

/// A name in `folder` like that of `path` that is not taken.
pub(super) fn free_place(folder: &Path, path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = path.extension().unwrap_or_default().to_string_lossy();
    let mut place = folder.join(format!("{stem}.{suffix}"));
    let mut number = 2;
    while place.exists() {
        place = folder.join(format!("{stem}-{number}.{suffix}"));
        number += 1;
    }
    place
}

/// The paths of the images in `folder`, in the order of their names; none if there is no such folder.
///
/// # Errors
/// When the folder cannot be read.
pub(super) fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(paths),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    for entry in entries {
        let path = entry?.path();
        let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if ["png", "jpg", "jpeg", "webp", "bmp"].contains(&suffix.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The folder in `folder` whose name is `REPEATS_` and `name`, whatever the repeats; the first, if there are several.
pub(super) fn concept(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let of = entry.file_name().to_string_lossy().into_owned();
        let repeats = of.strip_suffix(name).and_then(|begin| begin.strip_suffix('_'));
        if repeats.is_some_and(|repeats| !repeats.is_empty() && repeats.bytes().all(|digit| digit.is_ascii_digit())) {
            found.push(entry.path());
        }
    }
    found.sort();
    found.into_iter().next()
}
