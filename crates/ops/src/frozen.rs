//! Frozen matrices: weights that are read in every step and never change.

use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use half::slice::HalfFloatSliceExt;

/// How the numbers of a frozen weight are held in memory, and in what the operations on them compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// 4 bytes a number, exact; arithmetic is f32.
    F32,
    /// 2 bytes a number, rounded to nearest even. Products are of bf16 numbers with f32 sums where the processor has
    /// instructions for them (AVX-512 BF16), else f32.
    Bf16,
}

enum Numbers {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

/// A row-major matrix of frozen weights; cloning shares the numbers.
#[derive(Clone)]
pub struct FrozenMatrix {
    rows: usize,
    columns: usize,
    numbers: Arc<Numbers>,
}

/// Part of a frozen matrix as f32: element (r, c) is at `numbers[r * row_stride + c]`.
pub(crate) struct Panel<'a> {
    pub numbers: &'a [f32],
    pub row_stride: usize,
}

impl FrozenMatrix {
    /// A matrix of `rows` × `columns`, row-major.
    ///
    /// # Panics
    /// If `values` has not rows · columns numbers.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>, storage: Storage) -> Self {
        assert_eq!(values.len(), rows * columns, "a frozen matrix of {rows} × {columns}");
        let numbers = match storage {
            Storage::F32 => Numbers::F32(values),
            Storage::Bf16 => Numbers::Bf16(values.into_iter().map(bf16::from_f32).collect()),
        };
        Self { rows, columns, numbers: Arc::new(numbers) }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How its numbers are held.
    pub fn storage(&self) -> Storage {
        match &*self.numbers {
            Numbers::F32(_) => Storage::F32,
            Numbers::Bf16(_) => Storage::Bf16,
        }
    }

    /// Its numbers, if it is held in bf16 and this processor multiplies these.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn for_bf16(&self) -> Option<crate::bf16::Weight<'_>> {
        match &*self.numbers {
            Numbers::Bf16(numbers) if crate::bf16::available() => {
                Some(crate::bf16::Weight { numbers, rows: self.rows, columns: self.columns })
            }
            _ => None,
        }
    }

    /// One row as f32.
    pub fn row(&self, row: usize) -> Vec<f32> {
        self.row_panel(row..row + 1, &mut Vec::new()).numbers.to_vec()
    }

    /// All numbers as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        match &*self.numbers {
            Numbers::F32(values) => values.clone(),
            Numbers::Bf16(values) => values.to_f32_vec(),
        }
    }

    /// Rows of a block that keeps `threads` threads busy and, where numbers must be widened, stays in the cache.
    pub(crate) fn block(&self, extent: usize, threads: usize) -> usize {
        match &*self.numbers {
            Numbers::F32(_) => extent.div_ceil(threads).next_multiple_of(16),
            Numbers::Bf16(_) => 128.min(extent.div_ceil(threads)).next_multiple_of(16),
        }
    }

    /// The rows `range` as f32, widened into `scratch` if need be.
    pub(crate) fn row_panel<'a>(&'a self, range: Range<usize>, scratch: &'a mut Vec<f32>) -> Panel<'a> {
        let span = range.start * self.columns..range.end * self.columns;
        let numbers = match &*self.numbers {
            Numbers::F32(values) => &values[span],
            Numbers::Bf16(values) => {
                scratch.resize(span.len(), 0.0);
                values[span].convert_to_f32_slice(scratch);
                scratch
            }
        };
        Panel { numbers, row_stride: self.columns }
    }

    /// The columns `range` as f32, widened into `scratch` if need be.
    pub(crate) fn column_panel<'a>(&'a self, range: Range<usize>, scratch: &'a mut Vec<f32>) -> Panel<'a> {
        match &*self.numbers {
            Numbers::F32(values) => Panel { numbers: &values[range.start..], row_stride: self.columns },
            Numbers::Bf16(values) => {
                let width = range.len();
                scratch.resize(self.rows * width, 0.0);
                for (row, out) in values.chunks_exact(self.columns).zip(scratch.chunks_exact_mut(width)) {
                    row[range.clone()].convert_to_f32_slice(out);
                }
                Panel { numbers: scratch, row_stride: width }
            }
        }
    }
}

impl std::fmt::Debug for FrozenMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenMatrix({} × {})", self.rows, self.columns)
    }
}
