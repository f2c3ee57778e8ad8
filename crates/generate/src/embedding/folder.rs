//! The files of embeddings in a folder and the folders in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Endings of files of embeddings; of two files of one name that with the earlier ending counts.
const ENDINGS: [&str; 5] = ["safetensors", "pt", "bin", "png", "webp"];
/// How many of them are those of tensors; the others are those of pictures.
const OF_TENSORS: usize = 3;
/// How deep folders are looked into: a link may lead in a circle.
const DEPTH: usize = 8;
/// The most files that are looked at.
const MOST: usize = 20_000;

/// The files, by folder and name.
///
/// # Errors
/// When a folder cannot be read, or there are too many files for a folder of embeddings.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(dir, DEPTH, &mut files)?;
    files.sort_by_cached_key(|path| (path.with_extension(""), ending(path)));
    Ok(files)
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let problem = || format!("--embedding_dir: {} cannot be read; give a folder of embeddings", dir.display());
    for entry in fs::read_dir(dir).with_context(problem)? {
        let path = entry.with_context(problem)?.path();
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, files)?;
            }
        } else if ending(&path).is_some() && path.is_file() {
            files.push(path);
        }
        if files.len() > MOST {
            bail!("--embedding_dir: {} has more than {MOST} files; give a folder of embeddings", dir.display());
        }
    }
    Ok(())
}

/// Whether a file is a picture, which may hold an embedding.
pub(super) fn is_picture(path: &Path) -> bool {
    ending(path).is_some_and(|ending| ending >= OF_TENSORS)
}

/// The number of a file's ending in [`ENDINGS`].
fn ending(path: &Path) -> Option<usize> {
    let ending = path.extension()?.to_str()?.to_lowercase();
    ENDINGS.iter().position(|known| *known == ending)
}
