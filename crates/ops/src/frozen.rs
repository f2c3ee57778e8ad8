//! Frozen matrices: weights that are read in every step and never change.

use std::ops::Range;
use std::sync::{Arc, Mutex, RwLock, Weak};

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use half::bf16;
use half::slice::HalfFloatSliceExt;

use crate::device::{EighthsThere, half_of, is_host};
use crate::int8::Eighths;
use crate::rounding::{narrowed, widened};

/// How the numbers of a frozen weight are held in memory, and in what the operations on them compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightDtype {
    /// 4 bytes a number, exact; arithmetic is f32.
    F32,
    /// 2 bytes a number, rounded to nearest even. Products are of bf16 numbers with f32 sums where the processor has
    /// instructions for them (AVX-512 BF16), else f32.
    Bf16,
    /// 1 byte a number, and 4 bytes for the scale that 128 numbers share; off by 0.6 %. Each operation widens its matrix
    /// to bf16 and computes as with [`WeightDtype::Bf16`].
    Int8,
}

/// Reads the values of a matrix, row-major, from where they are kept; the error says what is wrong with that place.
pub type MatrixReader = Arc<dyn Fn() -> Result<Vec<f32>, String> + Send + Sync>;

/// A row-major matrix of frozen weights; cloning shares the numbers.
///
/// One with a [`MatrixReader`] may be used whether its numbers are in memory or not: without [`LazyMatrix::read`] every use
/// reads them anew and forgets them afterwards, which takes longer and no memory.
#[derive(Clone)]
pub struct FrozenMatrix(Arc<Matrix>);

/// A frozen matrix as seen by whoever decides what is in memory; it doesn't keep the matrix alive.
#[derive(Debug, Clone)]
pub struct LazyMatrix(Weak<Matrix>);

struct Matrix {
    rows: usize,
    columns: usize,
    dtype: WeightDtype,
    source: Option<MatrixReader>,
    held: RwLock<Option<Held>>,
    /// On another device than the processor.
    there: Mutex<Option<There>>,
}

/// As another device holds it.
enum There {
    Wide(Box<Tensor<2>>),
    Eighths(Box<EighthsThere>),
}

#[derive(Clone)]
enum Held {
    Wide(Arc<Numbers>),
    Eighths(Arc<Eighths>),
}

enum Numbers {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

/// The numbers of a matrix during one operation.
pub(crate) struct Reading {
    rows: usize,
    columns: usize,
    numbers: Arc<Numbers>,
}

/// Part of a frozen matrix as f32: element (r, c) is at `numbers[r * row_stride + c]`.
pub(crate) struct Panel<'a> {
    pub numbers: &'a [f32],
    pub row_stride: usize,
}

/// What a [`MatrixReader`] said when an operation needed its numbers. Operations know no errors, so it unwinds through
/// them as a panic does, without a word: whoever runs many of them catches it by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSource(pub String);

impl LostSource {
    fn unwind(self) -> ! {
        // Unlike `panic!` this tells nobody: it is no fault of the program.
        std::panic::resume_unwind(Box::new(self))
    }
}

impl FrozenMatrix {
    /// A matrix of `rows` × `columns`, row-major.
    ///
    /// # Panics
    /// If `values` has not rows · columns numbers.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>, dtype: WeightDtype) -> Self {
        assert_eq!(values.len(), rows * columns, "a frozen matrix of {rows} × {columns}");
        let held = RwLock::new(Some(Held::new(values, dtype)));
        Self(Arc::new(Matrix { rows, columns, dtype, source: None, held, there: Mutex::default() }))
    }

    /// A matrix of `rows` × `columns` whose numbers stay at `source` until they are asked for.
    pub fn from_source(rows: usize, columns: usize, source: MatrixReader, dtype: WeightDtype) -> Self {
        let held = RwLock::new(None);
        Self(Arc::new(Matrix { rows, columns, dtype, source: Some(source), held, there: Mutex::default() }))
    }

    /// A handle by which its numbers can be brought into memory.
    pub fn lazy(&self) -> LazyMatrix {
        LazyMatrix(Arc::downgrade(&self.0))
    }

    /// A matrix that shares its numbers and has them in memory for as long as the clone lives: for an operation in many parts.
    pub(crate) fn at_hand(&self) -> Self {
        let Matrix { rows, columns, dtype, .. } = *self.0;
        let held = RwLock::new(Some(self.0.held()));
        Self(Arc::new(Matrix { rows, columns, dtype, source: None, held, there: Mutex::default() }))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.0.columns
    }

    /// How its numbers are held.
    pub fn dtype(&self) -> WeightDtype {
        self.0.dtype
    }

    /// Whether operations compute in bf16: it is held in that or less, and this processor multiplies it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn computes_in_bf16(&self) -> bool {
        self.dtype() != WeightDtype::F32 && crate::bf16::available()
    }

    /// The numbers, for one operation.
    ///
    /// # Panics
    /// With a [`LostSource`], if they are not in memory and can no longer be read.
    pub(crate) fn reading(&self) -> Reading {
        let Matrix { rows, columns, .. } = *self.0;
        Reading { rows, columns, numbers: self.0.held().wide() }
    }

    /// Some rows as f32, one after the other.
    pub fn gather(&self, rows: impl IntoIterator<Item = usize>) -> Vec<f32> {
        let (reading, mut scratch) = (self.reading(), Vec::new());
        let mut values = Vec::new();
        for row in rows {
            values.extend_from_slice(reading.row_panel(row..row + 1, &mut scratch).numbers);
        }
        values
    }

    /// The numbers on a device: in f32, or in the device's 16-bit floats if they are held in less. Another
    /// device than the processor gets them once and keeps them as they are held here, in memory of their own; of those that
    /// have a source, none are kept here then.
    ///
    /// # Shapes
    /// - output: [rows, columns]
    ///
    /// # Panics
    /// With a [`LostSource`], if they are not in memory and can no longer be read.
    pub fn on(&self, device: &Device) -> Tensor<2> {
        if is_host(device) {
            return self.brought_to(device, FloatDType::F32);
        }
        let Matrix { rows, columns, dtype, .. } = *self.0;
        let computed = match dtype {
            WeightDtype::F32 => FloatDType::F32,
            WeightDtype::Bf16 | WeightDtype::Int8 => half_of(device).unwrap_or(FloatDType::F32),
        };
        let mut there = self.0.there.lock().expect("no other user panics");
        let there = there.get_or_insert_with(|| self.put_on(device, computed));
        if self.0.source.is_some() {
            *self.0.held.write().expect("no reader panics") = None;
        }
        match there {
            There::Wide(tensor) => Tensor::clone(tensor),
            There::Eighths(eighths) => eighths.widened(computed).reshape([rows, columns]),
        }
    }

    /// As another device will hold it. Each tensor gets memory of its own size, which goes back to the driver with it: in the
    /// device's pools, whose pages are cut for what comes and goes, it would leave gaps.
    fn put_on(&self, device: &Device, computed: FloatDType) -> There {
        match self.0.held() {
            Held::Eighths(eighths) => {
                let new = |eighths: Arc<Eighths>| EighthsThere::new(&eighths, device);
                There::Eighths(Box::new(device.memory_persistent_allocations(eighths, new)))
            }
            Held::Wide(_) => {
                let new = |matrix: &Self| matrix.brought_to(device, computed);
                There::Wide(Box::new(device.memory_persistent_allocations(self, new)))
            }
        }
    }

    fn brought_to(&self, device: &Device, dtype: FloatDType) -> Tensor<2> {
        let data = TensorData::new(self.to_f32(), [self.rows(), self.columns()]);
        Tensor::from_data(data, (device, DType::from(dtype)))
    }

    /// The numbers in 8 bits, if they are held so.
    ///
    /// # Panics
    /// With a [`LostSource`], if they are not in memory and can no longer be read.
    pub(crate) fn eighths(&self) -> Option<Arc<Eighths>> {
        match self.0.held() {
            Held::Eighths(numbers) => Some(numbers),
            Held::Wide(_) => None,
        }
    }

    /// All numbers as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        match &*self.reading().numbers {
            Numbers::F32(values) => values.clone(),
            Numbers::Bf16(values) => widened(values),
        }
    }
}

impl LazyMatrix {
    /// Brings the numbers into memory, if the matrix is still there and they aren't.
    ///
    /// # Errors
    /// What its source says.
    pub fn read(&self) -> Result<(), String> {
        let Some(matrix) = self.0.upgrade() else { return Ok(()) };
        let there = matrix.there.lock().expect("no other user panics").is_some();
        let mut held = matrix.held.write().expect("no reader panics");
        if held.is_none() && !there {
            *held = Some(matrix.fetch()?);
        }
        Ok(())
    }

    /// Takes the numbers out of memory, as far as no operation reads them; they stay at their source.
    pub fn forget(&self) {
        if let Some(matrix) = self.0.upgrade().filter(|matrix| matrix.source.is_some()) {
            *matrix.held.write().expect("no reader panics") = None;
            *matrix.there.lock().expect("no other user panics") = None;
        }
    }

    /// Bytes that it takes in memory once it is read; 0 for a matrix that is gone.
    pub fn bytes(&self) -> usize {
        let Some(matrix) = self.0.upgrade() else { return 0 };
        let numbers = matrix.rows * matrix.columns;
        match matrix.dtype {
            WeightDtype::F32 => 4 * numbers,
            WeightDtype::Bf16 => 2 * numbers,
            WeightDtype::Int8 => numbers + numbers / 32,
        }
    }
}

impl Matrix {
    /// The numbers, read if need be.
    fn held(&self) -> Held {
        let held = self.held.read().expect("no reader panics").clone();
        held.unwrap_or_else(|| self.fetch().unwrap_or_else(|reason| LostSource(reason).unwind()))
    }

    fn fetch(&self) -> Result<Held, String> {
        let source = self.source.as_ref().expect("a matrix without a source holds its numbers");
        let values = source()?;
        if values.len() != self.rows * self.columns {
            return Err(format!("{} numbers where {} × {} were", values.len(), self.rows, self.columns));
        }
        Ok(Held::new(values, self.dtype))
    }
}

impl Held {
    fn new(values: Vec<f32>, dtype: WeightDtype) -> Self {
        match dtype {
            WeightDtype::F32 => Held::Wide(Arc::new(Numbers::F32(values))),
            WeightDtype::Bf16 => Held::Wide(Arc::new(Numbers::Bf16(narrowed(&values)))),
            WeightDtype::Int8 => Held::Eighths(Arc::new(Eighths::new(&values))),
        }
    }

    /// In what is computed.
    fn wide(self) -> Arc<Numbers> {
        match self {
            Held::Wide(numbers) => numbers,
            Held::Eighths(numbers) => Arc::new(Numbers::Bf16(numbers.widened())),
        }
    }
}

impl Reading {
    /// For the kernels in bf16, if it is in that and this processor has them.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn for_bf16(&self) -> Option<crate::bf16::Weight<'_>> {
        match &*self.numbers {
            Numbers::Bf16(numbers) if crate::bf16::available() => {
                Some(crate::bf16::Weight { numbers, rows: self.rows, columns: self.columns })
            }
            _ => None,
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
        write!(f, "FrozenMatrix({} × {})", self.rows(), self.columns())
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Matrix({} × {})", self.rows, self.columns)
    }
}
