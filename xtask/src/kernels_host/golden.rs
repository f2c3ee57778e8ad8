//! What the interpreter found of a few small operations, kept with the hash of what was recorded: while the recording is the
//! same, so is what the interpreter would find.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::case::Case;

/// Small ones, one of each kind.
const KEPT: [&str; 4] = ["linear_padded", "attention_8", "norm_and_conv", "quick_gelu"];

/// Keeps a result, if it is one of those to be kept.
///
/// # Errors
/// If its file cannot be written.
pub fn write(root: &Path, case: &Case, found: &[f32]) -> Result<()> {
    if !KEPT.contains(&case.name) {
        return Ok(());
    }
    let mut bytes = hash(case);
    bytes.extend(found.iter().flat_map(|number| number.to_le_bytes()));
    fs::write(file(root, case.name), bytes)?;
    Ok(())
}

fn file(root: &Path, name: &str) -> PathBuf {
    root.join("xtask/src/kernels_host/golden").join(format!("{name}.bin"))
}

/// Of list and numbers.
fn hash(case: &Case) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(case.list());
    hash.update(case.recording.numbers());
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::{cases, floats};
    use super::*;

    const HASH: usize = 32;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    /// Launches as they are planned now, and the processor's kernels as they are now.
    #[test]
    fn what_the_interpreter_found_is_what_the_processor_finds() {
        let cases = cases();
        for name in KEPT {
            let case = cases.iter().find(|case| case.name == name).expect("one of them");
            let bytes = fs::read(file(&root(), name)).unwrap();
            let same = bytes[..HASH] == hash(case);
            assert!(same, "{name}: launches have changed; cargo xtask kernels-check --part host --write");
            let mut found = floats(&bytes[HASH..]);
            assert_eq!(case.wrong(&found), Vec::<String>::new());
            // The comparison sees a single number that is wrong, or was not written.
            let middle = found.len() / 2;
            for wrong in [found[middle] + 0.5, f32::NAN] {
                let right = std::mem::replace(&mut found[middle], wrong);
                assert_eq!(case.wrong(&found).len(), 1, "{name}: {wrong} instead of {right}");
                found[middle] = right;
            }
            found.pop();
            assert_eq!(case.wrong(&found).len(), 1, "{name}: too few numbers");
        }
    }
}
