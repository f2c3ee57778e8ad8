//! Taggers and detectors beside onnxruntime, and beside the programs that people use them with (`oracle/tagger_golden.py`,
//! `oracle/detector_golden.py`).

mod detectors;
mod imgutils;
mod taggers;

use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
