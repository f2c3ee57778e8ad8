//! A slice of which several threads write disjoint parts.

use std::marker::PhantomData;

/// A row-major matrix of which several threads write disjoint parts.
pub(crate) struct SharedOutput<'a> {
    pointer: *mut f32,
    length: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: every access goes through functions whose callers promise disjoint elements.
unsafe impl Send for SharedOutput<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedOutput<'_> {}

impl<'a> SharedOutput<'a> {
    pub fn new(numbers: &'a mut [f32]) -> Self {
        Self { pointer: numbers.as_mut_ptr(), length: numbers.len(), owner: PhantomData }
    }

    /// Room for `length` numbers in an empty vector, whose length the caller sets when all of them are written.
    pub fn room(numbers: &'a mut Vec<f32>, length: usize) -> Self {
        numbers.reserve_exact(length);
        Self { pointer: numbers.as_mut_ptr(), length, owner: PhantomData }
    }

    /// A contiguous part to write.
    ///
    /// # Safety
    /// No other thread may touch these elements meanwhile.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, start: usize, length: usize) -> &mut [f32] {
        assert!(start + length <= self.length);
        // SAFETY: inside the slice (checked), exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), length) }
    }

    /// Where a matrix of `rows` × `columns` starts, whose rows are `row_stride` apart; panics if it is not inside.
    pub fn matrix(&self, start: usize, rows: usize, columns: usize, row_stride: usize) -> *mut f32 {
        assert!(rows > 0 && start + (rows - 1) * row_stride + columns <= self.length);
        // SAFETY: inside the slice (checked).
        unsafe { self.pointer.add(start) }
    }
}

/// Where a matrix goes in a shared output: first element and distance of rows.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub output: &'a SharedOutput<'a>,
    pub start: usize,
    pub row_stride: usize,
}

/// A new vector of which `fill` writes every number. It saves zeroing tens of megabytes that are overwritten at once.
///
/// # Safety
/// `fill` writes them all.
pub(crate) unsafe fn filled(length: usize, fill: impl FnOnce(&SharedOutput<'_>)) -> Vec<f32> {
    let mut numbers = Vec::new();
    fill(&SharedOutput::room(&mut numbers, length));
    // SAFETY: all are written, by the caller's promise.
    unsafe { numbers.set_len(length) };
    numbers
}

/// A new vector of which `write` writes every number by one slice.
///
/// # Safety
/// `write` writes every number, and reads none before.
pub(crate) unsafe fn written(length: usize, write: impl FnOnce(&mut [f32])) -> Vec<f32> {
    // SAFETY: nobody else has the vector; every number is written, by the caller's promise.
    unsafe { filled(length, |output| write(output.part(0, length))) }
}
