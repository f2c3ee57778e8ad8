//! A lock file in the output folder: two runs that write under one name notice each other.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_recipe::output::Output;
use lorabake_weights::file_names::cut;
use lorabake_weights::lock_file::{LockFile, Taking};

/// The lock of the run that writes under a name.
#[derive(Debug)]
pub(crate) struct RunLock {
    _lock: LockFile,
}

impl RunLock {
    /// Takes the lock of an output folder that is there; `None` where the file system knows no locks.
    ///
    /// # Errors
    /// When another run has it.
    pub fn take(output: &Output) -> Result<Option<Self>> {
        let lock = LockFile::take(&path(output));
        match lock.with_context(|| format!("--output_dir {}: cannot be written to", output.dir.display()))? {
            Taking::Taken(lock) => Ok(Some(Self { _lock: lock })),
            Taking::Busy => taken(output),
            Taking::Unknown => Ok(None),
        }
    }

    /// Looks whether another run has the lock, and takes nothing.
    ///
    /// # Errors
    /// When one has.
    pub fn look(output: &Output) -> Result<()> {
        if LockFile::is_busy(&path(output)) { taken(output) } else { Ok(()) }
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
