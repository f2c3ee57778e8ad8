//! A model that is written tensor by tensor: several are computed at a time, by all processors, and written in their order.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use lorabake_weights::stream::{self, Encoded, PlannedTensor};
use rayon::prelude::*;
use safetensors::Dtype;

use crate::error::{Error, Result};

/// Numbers that are in the works at a time. What is computed takes a few times their 4 bytes.
const AT_A_TIME: usize = 24 << 20;

/// Is told how many numbers of how many are done; false ends the work.
pub type Watch<'w> = &'w (dyn Fn(u64, u64) -> bool + Sync);

/// A file that is to be written.
#[derive(Debug)]
pub struct Plan<'p> {
    /// The file.
    pub path: &'p Path,
    /// Its tensors, in its order.
    pub tensors: Vec<PlannedTensor>,
    /// Its text metadata.
    pub metadata: BTreeMap<String, String>,
}

/// What a tensor of a result is.
#[derive(Debug)]
pub enum Content {
    /// Bytes as they are in the planned type.
    Bytes(Vec<u8>),
    /// Numbers, which are rounded once.
    Values(Vec<f32>),
}

impl Plan<'_> {
    /// Writes the file; `compute` is asked for each tensor by its number.
    ///
    /// # Errors
    /// Those of `compute`; when numbers do not fit the type in which they are written; when the user ends it; when the file
    /// cannot be written. No partial file is left.
    pub fn write(&self, watch: Watch<'_>, compute: impl Fn(usize) -> Result<Content> + Sync) -> Result<()> {
        let total: u64 = self.tensors.iter().map(numbers).sum();
        let mut ready: VecDeque<Vec<u8>> = VecDeque::new();
        let mut next = 0;
        let mut done = 0;
        stream::write(self.path, &self.tensors, &self.metadata, |index| {
            if ready.is_empty() {
                if !watch(done, total) {
                    return Err(Error::Stopped);
                }
                let batch = self.batch(index);
                next = batch.end;
                let computed: Result<Vec<Vec<u8>>> =
                    batch.clone().into_par_iter().map(|index| self.encoded(index, &compute)).collect();
                ready.extend(computed?);
                done += self.tensors[batch].iter().map(numbers).sum::<u64>();
            }
            Ok(ready.pop_front().expect("a batch has at least one tensor"))
        })
    }

    /// The tensors from `first` on that are computed together.
    fn batch(&self, first: usize) -> std::ops::Range<usize> {
        let mut end = first + 1;
        let mut sum = numbers(&self.tensors[first]);
        while end < self.tensors.len() && sum + numbers(&self.tensors[end]) <= AT_A_TIME as u64 {
            sum += numbers(&self.tensors[end]);
            end += 1;
        }
        first..end
    }

    fn encoded(&self, index: usize, compute: &(impl Fn(usize) -> Result<Content> + Sync)) -> Result<Vec<u8>> {
        let tensor = &self.tensors[index];
        let values = match compute(index)? {
            Content::Bytes(bytes) => return Ok(bytes),
            Content::Values(values) => values,
        };
        let Encoded { bytes, not_finite } = stream::encode(&values, tensor.dtype);
        let lost = not_finite - values.iter().filter(|value| !value.is_finite()).count().min(not_finite);
        if lost > 0 {
            let what = format!("{lost} of its values in {} are too large for {:?}", tensor.name, tensor.dtype);
            return Err(Error::wrong(self.path.display(), what, "give --save_precision bf16 or float"));
        }
        if not_finite > 0 {
            let what = format!("{not_finite} values of {} would be infinite or not a number", tensor.name);
            return Err(Error::wrong(self.path.display(), what, "look for the damaged input with `lorabake inspect`"));
        }
        Ok(bytes)
    }
}

fn numbers(tensor: &PlannedTensor) -> u64 {
    tensor.shape.iter().map(|extent| *extent as u64).product()
}

/// The type in which numbers are written that were of a type which is not written: 8-bit floats are read only.
pub fn written(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::F8_E4M3 | Dtype::F8_E5M2 => Dtype::F16,
        other => other,
    }
}
