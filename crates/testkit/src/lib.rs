//! Golden cases: tensors that a reference program wrote, and the one policy by which ours are compared with them
//! (`distance.rs`).
//!
//! Also [`tiny`]: checkpoints of families that are too large to keep a file of, and [`counting_allocator`]: the memory
//! that a piece of work takes. For tests only.

pub mod counting_allocator;
mod distance;
mod stripes;
pub mod tiny;

use std::collections::BTreeMap;
use std::path::Path;

pub use distance::{assert_close, assert_close_max, relative_change_error, relative_error, relative_max_error};
use safetensors::{Dtype, SafeTensors};
pub use stripes::stripes;

/// A golden file: named tensors as f32 with their shapes.
pub struct Golden {
    file: String,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Golden {
    /// Reads a safetensors file of f32 and i32 tensors.
    ///
    /// # Panics
    /// If it cannot be read: a test without its reference must fail.
    pub fn open(path: impl AsRef<Path>) -> Self {
        let file = path.as_ref().display().to_string();
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{file}: {error}"));
        let parsed = SafeTensors::deserialize(&bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
        let tensors = parsed
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let words = view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
                let numbers = match view.dtype() {
                    Dtype::F32 => words.map(f32::from_le_bytes).collect(),
                    Dtype::I32 => words.map(|word| i32::from_le_bytes(word) as f32).collect(),
                    other => panic!("{file}: {name} is {other:?}"),
                };
                (name, (view.shape().to_vec(), numbers))
            })
            .collect();
        Self { file, tensors }
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether a tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensor(name).0
    }

    /// Numbers of a tensor, row-major.
    pub fn numbers(&self, name: &str) -> &[f32] {
        &self.tensor(name).1
    }

    fn tensor(&self, name: &str) -> &(Vec<usize>, Vec<f32>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("{} has no tensor {name}", self.file))
    }

    /// Compares with the tensor of this name by [`assert_close`]: ‖ours − reference‖ ≤ tolerance · ‖reference‖.
    ///
    /// # Panics
    /// Otherwise, showing the first five pairs; also when the reference is all zeros.
    #[track_caller]
    pub fn check(&self, name: &str, ours: &[f32], tolerance: f64) {
        assert_close(name, ours, self.numbers(name), tolerance);
    }
}
