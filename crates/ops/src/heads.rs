//! The heads of an attention where linear layers left them: [B, heads, S, D] as views of [B, S, heads·D], whose rows
//! lie apart. Reading and writing them in place saves a copy of each tensor, on one thread, either way.

use burn_flex::FlexTensor;

use crate::frozen_op::{dims, flex_tensor};
use crate::shared_output::SharedOutput;

/// A tensor [B, heads, S, D].
pub(crate) struct Heads {
    tensor: FlexTensor,
    per_batch: usize,
    /// Numbers from one batch, head and row to the next.
    strides: [usize; 3],
}

/// The rows of one head, S × D.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    numbers: &'a [f32],
    count: usize,
    /// Numbers in a row.
    pub d: usize,
    /// Numbers from one row to the next.
    pub stride: usize,
}

impl Heads {
    /// Copies only a tensor in whose rows numbers are not side by side.
    pub fn of(tensor: FlexTensor) -> Self {
        let strides = tensor.layout().strides();
        let tensor =
            if strides[3] == 1 && tensor.layout().has_positive_strides() { tensor } else { tensor.to_contiguous() };
        let strides = std::array::from_fn(|dim| tensor.layout().strides()[dim] as usize);
        Self { per_batch: dims(&tensor)[1], strides, tensor }
    }

    /// The rows of one of B·heads.
    pub fn head(&self, index: usize) -> Rows<'_> {
        let [batch, head, stride] = self.strides;
        let start =
            self.tensor.layout().start_offset() + index / self.per_batch * batch + index % self.per_batch * head;
        let shape = dims(&self.tensor);
        Rows { numbers: &self.tensor.storage()[start..], count: shape[2], d: shape[3], stride }
    }
}

impl<'a> Rows<'a> {
    /// One row.
    pub fn row(self, index: usize) -> &'a [f32] {
        &self.numbers[index * self.stride..][..self.d]
    }

    /// All rows in turn.
    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [f32]> {
        (0..self.count).map(move |index| self.row(index))
    }

    /// The rows from `first` on, `count` of them at most.
    pub fn part(self, first: usize, count: usize) -> Self {
        Self { numbers: &self.numbers[first * self.stride..], count: count.min(self.count - first), ..self }
    }

    /// Number of rows.
    #[cfg(target_arch = "x86_64")]
    pub fn count(self) -> usize {
        self.count
    }

    /// From the first row on, for products that know the stride.
    pub fn numbers(self) -> &'a [f32] {
        self.numbers
    }
}

/// A new tensor [B, heads, S, D] that is a view of [B, S, heads·D], for threads to fill head by head.
pub(crate) struct NewHeads {
    numbers: Vec<f32>,
    shape: [usize; 4],
}

impl NewHeads {
    /// For the shape of a tensor.
    pub fn like(tensor: &Heads) -> Self {
        let shape = dims(&tensor.tensor).try_into().expect("heads have four dimensions");
        Self { numbers: Vec::new(), shape }
    }

    /// What threads write to.
    pub fn shared(&mut self) -> SharedHeads<'_> {
        SharedHeads { shape: self.shape, output: SharedOutput::room(&mut self.numbers, self.shape.iter().product()) }
    }

    /// The tensor.
    ///
    /// # Safety
    /// All rows have been written.
    pub unsafe fn tensor(mut self) -> FlexTensor {
        let [batch, heads, rows, d] = self.shape;
        // SAFETY: `shared` has made room for them, and the caller has written them.
        unsafe { self.numbers.set_len(batch * heads * rows * d) };
        flex_tensor(self.numbers, vec![batch, rows, heads, d]).transpose(1, 2)
    }
}

/// [`NewHeads`] while it is filled.
pub(crate) struct SharedHeads<'a> {
    shape: [usize; 4],
    output: SharedOutput<'a>,
}

impl SharedHeads<'_> {
    /// Writes rows of one of B·heads, from `first` on; `rows` has them one after another.
    ///
    /// # Safety
    /// No other thread writes these rows meanwhile.
    pub unsafe fn write(&self, index: usize, first: usize, rows: &[f32]) {
        let [_, heads, count, d] = self.shape;
        let (batch, head) = (index / heads, index % heads);
        for (row, numbers) in (first..).zip(rows.chunks_exact(d)) {
            assert!(row < count);
            // SAFETY: rows are disjoint, and this one is the caller's.
            unsafe { self.output.part(((batch * count + row) * heads + head) * d, d).copy_from_slice(numbers) };
        }
    }
}
