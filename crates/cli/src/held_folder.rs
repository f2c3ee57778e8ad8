//! A folder that this program alone writes into, as long as it paints there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_recipe::count;
use lorabake_weights::lock_file::{LockFile, Taking};
use lorabake_weights::part_file::abandoned;

use crate::terminal::{self, Shown};

/// The name of the lock; what begins with `.lorabake-` is nobody's work.
const LOCK: &str = ".lorabake-folder.lock";

/// Folders within folders that hold what is painted.
const DEEPEST: usize = 3;
/// More folders than painting makes; beyond them nothing is looked for.
const MOST_FOLDERS: usize = 1000;

/// A folder that is held until this is dropped.
#[derive(Debug)]
pub struct HeldFolder {
    _lock: Option<LockFile>,
}

impl HeldFolder {
    /// Holds `folder`, which `--out` named and which is made if need be. What a killed program left half written in it, and
    /// in the folders in it, is removed.
    ///
    /// # Errors
    /// When another program holds it, or nothing can be written there.
    pub fn take(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        if folder.exists() && !folder.is_dir() {
            bail!("--out {shown}: it is a file; name a folder");
        }
        let refused = || format!("--out {shown}: cannot write there; name another folder");
        std::fs::create_dir_all(folder).with_context(refused)?;
        let lock = match LockFile::take(&folder.join(LOCK)).with_context(refused)? {
            Taking::Taken(lock) => Some(lock),
            Taking::Busy => bail!(
                "--out {shown}: another lorabake is writing there now; wait for it to end, or name another folder"
            ),
            Taking::Unknown => None,
        };
        let left = half_written(folder);
        let removed = left.iter().filter(|path| std::fs::remove_file(path).is_ok()).count();
        if removed > 0 {
            let files = count(removed, "half-written file");
            terminal::say(&format!("note: {}: removed {files} that a killed run left", Shown(shown)));
        }
        Ok(Self { _lock: lock })
    }
}

/// What nobody writes any longer in a folder and in those in it, links to others left out.
fn half_written(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        found.extend(abandoned(&folder, |_| true));
        if depth == DEEPEST || folders.len() > MOST_FOLDERS {
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}
