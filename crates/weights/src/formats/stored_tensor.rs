//! Where a file keeps the numbers of one tensor.

use std::ops::Range;

use safetensors::Dtype;

/// One tensor of an open file: type, shape and place of its numbers.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Bytes of the file that hold the numbers; inside the file.
    pub(super) bytes: Range<usize>,
    /// Steps between numbers along each axis, counted in numbers; `None` for row-major order without gaps.
    pub(super) strides: Option<Vec<usize>>,
}
