//! The other checkpoints that a LoRA is tried on: found and checked before anything is measured.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_generate::easel::model_name;
use lorabake_generate::open_checkpoint;
use lorabake_generate::problems::Problems;
use lorabake_recipe::model::Checkpoint;

/// A checkpoint that a LoRA is tried on.
pub struct Other {
    /// Its file name without suffix, as in grids.
    pub name: String,
    /// Where it is.
    pub checkpoint: Checkpoint,
}

/// The checkpoints that `typed` means, beside `home`, on which the run was trained. As for the axis `checkpoint` of a grid
/// each is a path, or a name in the folder of `home`.
///
/// # Errors
/// One line for each that is not there, is named twice, cannot be read or is of another family.
pub fn find(typed: &[PathBuf], home: &Checkpoint) -> Result<Vec<Other>> {
    let mut problems = Vec::new();
    let mut others: Vec<Other> = Vec::new();
    if typed.is_empty() {
        return Ok(others);
    }
    let family = open_checkpoint(home, None)?.family();
    let mut known: Vec<PathBuf> = Vec::new();
    if let Checkpoint::File(path) = home {
        known.extend(real(path));
    }
    for text in typed {
        let told = text.display();
        let Some(path) = place(text, home) else {
            problems.push(format!("--against {told}: there is no such file; write the paths of checkpoints"));
            continue;
        };
        if known.iter().any(|known| real(&path).as_ref() == Some(known)) {
            let twice = match others.iter().any(|other| is_at(other, &path)) {
                true => "it is named twice; leave it out once",
                false => "the LoRA was trained on it, and is measured there anyway; leave it out",
            };
            problems.push(format!("--against {told}: {twice}"));
            continue;
        }
        let checkpoint = Checkpoint::File(path.clone());
        match open_checkpoint(&checkpoint, None) {
            Ok(file) if file.family() == family => {
                known.extend(real(&path));
                others.push(Other { name: model_name(&checkpoint), checkpoint });
            }
            Ok(file) => problems.push(format!(
                "--against {told}: it is {}, and the LoRA was trained for {}; name checkpoints of the same family",
                file.family().name(),
                family.name()
            )),
            Err(why) => problems.push(format!("--against {told}: {why:#}")),
        }
    }
    if !problems.is_empty() {
        bail!(Problems(problems));
    }
    Ok(others)
}

/// The path itself, or a name in the folder of the checkpoint that the LoRA was trained on.
fn place(text: &Path, home: &Checkpoint) -> Option<PathBuf> {
    if text.exists() {
        return Some(text.to_owned());
    }
    let Checkpoint::File(home) = home else { return None };
    let folder = home.parent()?;
    let name = text.to_string_lossy();
    for name in [name.to_string(), format!("{name}.safetensors"), format!("{name}.ckpt")] {
        let path = folder.join(name);
        if path.exists() {
            return Some(path);
        }
    }
    None
}

fn is_at(other: &Other, path: &Path) -> bool {
    matches!(&other.checkpoint, Checkpoint::File(own) if real(own) == real(path))
}

/// The path without links and dots.
fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}
