//! A lock file in the output folder: two runs that write under one name notice each other.

use std::fs::{File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_recipe::output::Output;
use lorabake_weights::file_names::cut;

/// The lock of the run that writes under a name. The system gives it up with the program, however that ends, so a file
/// that a killed run left locks nobody out.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
    path: PathBuf,
}

impl RunLock {
    /// Takes the lock of an output folder that is there; `None` where the file system knows no locks.
    ///
    /// # Errors
    /// When another run has it.
    pub fn take(output: &Output) -> Result<Option<Self>> {
        let path = path(output);
        loop {
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            let file = file.with_context(|| format!("--output_dir {}: cannot be written to", output.dir.display()))?;
            match file.try_lock() {
                // Else whoever had it has deleted it just now.
                Ok(()) if path.exists() => return Ok(Some(Self { _file: file, path })),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return taken(output),
                Err(TryLockError::Error(_)) => {
                    std::fs::remove_file(&path).ok();
                    return Ok(None);
                }
            }
        }
    }

    /// Looks whether another run has the lock, and takes nothing.
    ///
    /// # Errors
    /// When one has.
    pub fn look(output: &Output) -> Result<()> {
        let Ok(file) = File::options().write(true).open(path(output)) else { return Ok(()) };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => taken(output),
            _ => Ok(()),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

fn path(output: &Output) -> PathBuf {
    // Of long names the rest is told apart by a hash.
    let mut rest = DefaultHasher::new();
    output.name.hash(&mut rest);
    let name = match cut(&output.name, 100) {
        whole if whole.len() == output.name.len() => whole.to_owned(),
        beginning => format!("{beginning}-{:016x}", rest.finish()),
    };
    output.dir.join(format!(".lorabake-{name}.lock"))
}

fn taken<T>(output: &Output) -> Result<T> {
    let Output { dir, name, .. } = output;
    bail!(
        "--output_name: another run is writing {name} into {} now; give this one another name, or wait for that to end",
        dir.display()
    )
}
