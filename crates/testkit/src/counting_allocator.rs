//! How much memory a piece of work takes at its peak, for tests that a small input has no large cost.
//!
//! A test program of its own makes it the allocator; a test that measures is [`alone`] for as long as it lives:
//!
//! ```no_run
//! use lorabake_testkit::counting_allocator::{CountingAllocator, alone, peak_of};
//!
//! #[global_allocator]
//! static ALLOCATOR: CountingAllocator = CountingAllocator;
//!
//! let _alone = alone();
//! let read = peak_of(|| std::fs::read("small.bin"));
//! assert!(read.bytes < 1 << 20, "{} bytes", read.bytes);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// Most bytes that were allocated at once since the last measurement began.
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// Held by the one test that measures.
static ALONE: Mutex<()> = Mutex::new(());

/// The system's allocator, which counts the bytes that all threads have asked for. Memory that was asked for and never
/// touched counts too.
pub struct CountingAllocator;

/// What a piece of work gave, and what it took.
pub struct Measured<T> {
    /// What it returned.
    pub value: T,
    /// Most bytes that were allocated at once during it, beyond those before.
    pub bytes: usize,
}

/// Keeps the other measuring tests of this program waiting until it is dropped. Take it before inputs are made, since
/// threads are not told apart.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does `work` and measures its memory.
///
/// # Panics
/// If [`CountingAllocator`] is not the program's allocator: nothing would be measured.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> Measured<T> {
    let before = LIVE.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let probe = Box::new([0u8; 64]);
    assert!(std::hint::black_box(&probe).len() <= PEAK.load(Ordering::SeqCst), "CountingAllocator is not in use");
    drop(probe);
    PEAK.store(before, Ordering::SeqCst);
    let value = work();
    let bytes = PEAK.load(Ordering::SeqCst).saturating_sub(before);
    Measured { value, bytes }
}

fn grow(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::SeqCst) + bytes;
    PEAK.fetch_max(live, Ordering::SeqCst);
}

fn shrink(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::SeqCst);
}

// SAFETY: every call goes to the system's allocator as it is, whose contract is the same. Counting allocates nothing.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Where it has to move, both are there for a moment.
        grow(new_size);
        shrink(layout.size());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}
