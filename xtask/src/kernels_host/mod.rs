//! `cargo xtask kernels-check --part host`: the host's side of the GPU kernels against the processor's kernels, without a GPU.
//!
//! Whole operations, forward and backward, are planned as for a card and recorded (`lorabake_ops::cuda`), run by Triton's
//! interpreter (`kernels/replay.py`), and compared with what the processor computes of the same numbers. What the
//! interpreter found of a few small ones is kept, so that `cargo test` compares without Python (`golden.rs`).

mod attention;
mod blocks;
mod case;
mod golden;
mod image;
mod linear;
mod rows;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use case::Case;
use lorabake_ops::cuda::{Card, Target};

/// An RTX 3060, for which small operations get the smallest tiles, and two so small that they get the largest of a target.
const CARDS: [Card; 3] = [
    Card { target: Target::Sm80, multiprocessors: 28 },
    Card { target: Target::Sm90a, multiprocessors: 1 },
    Card { target: Target::Sm80, multiprocessors: 1 },
];

fn cases() -> Vec<Case> {
    let mut cases = linear::cases(CARDS);
    cases.extend(attention::cases(CARDS));
    cases.extend(image::cases(CARDS));
    cases.extend(rows::cases(CARDS));
    cases.extend(blocks::cases(CARDS));
    cases
}

/// Records, has the interpreter run and compares all operations; prints what is wrong, and whether nothing is. With
/// `write`, what the interpreter found of the small ones becomes what the tests compare with.
///
/// # Errors
/// If a file cannot be written or read, or the interpreter does not start.
pub fn check(python: &Path, root: &Path, write: bool) -> Result<bool> {
    let folder = root.join("target/kernels-host");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder)?;
    let cases = cases();
    for case in &cases {
        fs::write(folder.join(format!("{}.json", case.name)), case.list())?;
        fs::write(folder.join(format!("{}.bin", case.name)), case.recording.numbers())?;
    }
    let status = Command::new(python).arg(root.join("kernels/replay.py")).arg(&folder).status();
    let replayed = status.with_context(|| format!("{} does not start", python.display()))?.success();
    let mut problems = Vec::new();
    let mut launches = 0;
    for case in &cases {
        let found = results(&folder.join(format!("{}.out", case.name)))?;
        let wrong = case.wrong(&found);
        if write && wrong.is_empty() {
            golden::write(root, case, &found)?;
        }
        problems.extend(wrong);
        launches += case.recording.launches();
    }
    for problem in &problems {
        println!("{problem}");
    }
    let verdict = if problems.is_empty() { "all agree".to_string() } else { format!("{} findings", problems.len()) };
    println!("host side: {} operations of {launches} launches beside the processor's kernels, {verdict}", cases.len());
    Ok(replayed && problems.is_empty())
}

/// The numbers that the interpreter wrote.
fn results(path: &Path) -> Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(bytes.len().is_multiple_of(4), "{}: not a whole number of numbers", path.display());
    Ok(floats(&bytes))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
}
