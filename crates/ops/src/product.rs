//! Matrix products on strided f32 slices: the `gemm` crate behind a bounds-checked face.

use crate::shared_output::{SharedOutput, Target};

/// A strided matrix to read: element (r, c) is at `numbers[r * row_stride + c * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub numbers: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix.
    pub fn rows(numbers: &'a [f32], row_stride: usize) -> Self {
        Self { numbers, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving a number.
    pub fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }
}

/// What happens to numbers that are already in the output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Add,
}

/// Extents of a product (m × k) · (k × n) → (m × n).
#[derive(Clone, Copy)]
pub(crate) struct Extents {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// Rows of a product that nobody else sees.
pub(crate) struct OutputRows<'a> {
    /// From the first row on.
    pub output: &'a mut [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
}

/// out = factor · a · b (+ out), on the calling thread.
pub(crate) fn product(e: Extents, out: OutputRows<'_>, mode: Existing, a: View<'_>, b: View<'_>, factor: f32) {
    let shared = SharedOutput::new(out.output);
    // SAFETY: the output is borrowed exclusively.
    unsafe { product_into(e, Target { output: &shared, start: 0, row_stride: out.stride }, mode, a, b, factor) }
}

/// Like [`product`], into part of a shared output.
///
/// # Safety
/// No other thread may touch the m × n elements written here.
pub(crate) unsafe fn product_into(e: Extents, out: Target<'_>, mode: Existing, a: View<'_>, b: View<'_>, factor: f32) {
    let Target { output, start, row_stride } = out;
    if e.m == 0 || e.n == 0 {
        return;
    }
    let target = output.matrix(start, e.m, e.n, row_stride);
    if e.k > 0 {
        assert!((e.m - 1) * a.row_stride + (e.k - 1) * a.column_stride < a.numbers.len());
        assert!((e.k - 1) * b.row_stride + (e.n - 1) * b.column_stride < b.numbers.len());
    }
    // SAFETY: all three matrices lie inside their slices (checked above).
    unsafe {
        gemm::gemm(
            e.m,
            e.n,
            e.k,
            target,
            1,
            row_stride as isize,
            mode == Existing::Add,
            a.numbers.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.numbers.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
