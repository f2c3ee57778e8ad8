//! Files that are put together from pieces of others, in memory.

use std::collections::BTreeMap;

use anyhow::Result;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// A tensor in f32.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Four for each value.
    pub bytes: Vec<u8>,
}

/// All tensors of a file, in f32.
///
/// # Errors
/// When it is no safetensors file.
pub(crate) fn of_file(bytes: &[u8]) -> Result<BTreeMap<String, Numbers>> {
    let mut all = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
        let bytes = match view.dtype() {
            Dtype::F16 => {
                let halves = view.data().as_chunks().0.iter();
                halves.flat_map(|bytes| half::f16::from_le_bytes(*bytes).to_f32().to_le_bytes()).collect()
            }
            _ => view.data().to_vec(),
        };
        all.insert(name, Numbers { shape: view.shape().to_vec(), bytes });
    }
    Ok(all)
}

/// A safetensors file of them.
///
/// # Errors
/// When a tensor has another size than its shape says.
pub(crate) fn to_file(numbers: &BTreeMap<String, Numbers>) -> Result<Vec<u8>> {
    let mut views = Vec::new();
    for (name, own) in numbers {
        views.push((name.as_str(), TensorView::new(Dtype::F32, own.shape.clone(), &own.bytes)?));
    }
    Ok(safetensors::serialize(views, None)?)
}
