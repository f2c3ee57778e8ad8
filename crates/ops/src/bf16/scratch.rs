//! Buffers that a thread uses again and again, so that no call pays for fresh pages.

use std::cell::RefCell;

/// One cache line; vectors of it are aligned for full-width loads.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; 16]);

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `words` words of any content to `work`.
///
/// What `work` runs on the pool may borrow buffers of its own: they come off a stack.
pub(super) fn with_words<R>(words: usize, work: impl FnOnce(&mut [u32]) -> R) -> R {
    let mut lines = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let count = words.div_ceil(16);
    if lines.len() < count {
        lines.resize(count, Line([0; 16]));
    }
    // SAFETY: a line is 16 words without padding, and `count` lines exist.
    let slice = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<u32>(), words) };
    let result = work(slice);
    FREE.with_borrow_mut(|free| free.push(lines));
    result
}

/// Lends `halves` bf16 numbers (their bits) of any content, rounded up to whole words.
pub(super) fn with_halves<R>(halves: usize, work: impl FnOnce(&mut [u16]) -> R) -> R {
    with_words(halves.div_ceil(2), |words| work(bytemuck::cast_slice_mut(words)))
}

/// Lends `count` f32 numbers of any content.
pub(super) fn with_floats<R>(count: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    with_words(count, |words| work(bytemuck::cast_slice_mut(words)))
}
