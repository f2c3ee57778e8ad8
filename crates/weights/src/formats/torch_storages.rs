//! Where the numbers of PyTorch's tensors are: views of storages, which several tensors may share.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use safetensors::Dtype;

use super::pickle::{Refusal, TensorView, unreadable};
use super::stored_tensor::StoredTensor;

/// Bytes of all tensors that a file may have at least, and for each byte of their storages: tensors may share these.
const SHARED_FREELY: usize = 1 << 24;
const MOST_SHARED: usize = 16;

/// Where the numbers of each storage are in the file.
pub(super) type Storages<'p> = HashMap<&'p str, Range<usize>>;

/// A tensor that is not in the numbers which it says it has.
pub(super) fn outside(name: &str, view: &TensorView) -> Refusal {
    let shape = &view.shape;
    Refusal::Unreadable(format!(
        "tensor {name} of shape {shape:?} lies outside of its numbers; download or copy it again"
    ))
}

/// Tensors may share numbers, but not so many that a small file takes all memory.
pub(super) fn check_sharing(tensors: &BTreeMap<String, StoredTensor>, storages: &Storages) -> Result<(), Refusal> {
    let bytes = |total: usize, tensor: &StoredTensor| {
        let count: usize = tensor.shape.iter().product();
        total.saturating_add(count.saturating_mul(size_of(tensor.dtype)))
    };
    let stored: usize = storages.values().map(ExactSizeIterator::len).sum();
    if tensors.values().fold(0, bytes) > SHARED_FREELY.max(stored.saturating_mul(MOST_SHARED)) {
        return unreadable("its tensors share their numbers far too often for a checkpoint");
    }
    Ok(())
}

/// Where the numbers of a view are, if they are in its storage and none is in two places of the tensor.
pub(super) fn placed(view: &TensorView, storages: &Storages) -> Option<StoredTensor> {
    let storage = storages.get(view.storage.key)?;
    let count = view.shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent))?;
    let span = span(view, count)?;
    let size = size_of(view.storage.dtype);
    let first = view.storage.first.checked_add(view.offset)?;
    let start = storage.start.checked_add(first.checked_mul(size)?)?;
    let end = start.checked_add(span.checked_mul(size)?)?;
    if end > storage.end || count > span {
        return None;
    }
    let strides = if count > 0 && !is_row_major(view) { Some(view.strides.clone()) } else { None };
    Some(StoredTensor { dtype: view.storage.dtype, shape: view.shape.clone(), bytes: start..end, strides })
}

/// How many numbers lie from the first of a view's `count` to its last.
fn span(view: &TensorView, count: usize) -> Option<usize> {
    if count == 0 {
        return Some(0);
    }
    let mut span = 1_usize;
    for (extent, stride) in view.shape.iter().zip(&view.strides) {
        span = span.checked_add((extent - 1).checked_mul(*stride)?)?;
    }
    Some(span)
}

/// Whether a view's numbers lie one after the other, the last axis first.
fn is_row_major(view: &TensorView) -> bool {
    let mut stride = 1_usize;
    for (extent, found) in view.shape.iter().zip(&view.strides).rev() {
        if *extent != 1 && *found != stride {
            return false;
        }
        stride = stride.saturating_mul(*extent);
    }
    true
}

/// Bytes of a number.
pub(super) fn size_of(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F64 | Dtype::I64 | Dtype::U64 => 8,
        Dtype::F32 | Dtype::I32 | Dtype::U32 => 4,
        Dtype::F16 | Dtype::BF16 | Dtype::I16 | Dtype::U16 => 2,
        // The other types in `pickle`: numbers of 8 bits and truth values.
        _ => 1,
    }
}
