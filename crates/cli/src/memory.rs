//! Words on memory: what a run will need, and what to do when there is not enough.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use lorabake_train::estimate::{MemoryReport, Saving};

/// What can be saved in the run that goes on, for when memory runs out.
static REMEDY: OnceLock<String> = OnceLock::new();

/// Bytes in gigabytes.
pub fn gb(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Settings with what each would save.
pub fn listed(savings: &[Saving]) -> String {
    let one = |Saving { option, bytes }: &Saving| format!("{option} (-{})", gb(*bytes));
    savings.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What to tell before a run that needs more than there is; remembers what could be saved.
pub fn warning(outlook: &MemoryReport) -> Option<String> {
    let MemoryReport { peak, available, savings } = outlook;
    let less = match savings.is_empty() {
        true => "no setting would save much".to_string(),
        false => format!("less with {}", listed(savings)),
    };
    // Of several runs in one go the first one's advice is as good as any.
    REMEDY.set(format!("this run needs about {}; {less}", gb(*peak))).unwrap_or_default();
    let available = available.filter(|available| available < peak)?;
    Some(format!("note: this run needs about {}, and {} are free; {less}", gb(*peak), gb(available)))
}

/// The system's allocator, which says what to do before the program ends for want of memory.
pub struct Advising;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Advising {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        told(unsafe { System.realloc(block, layout, size) })
    }
}

/// Tells once, without taking any memory, if there was none.
fn told(block: *mut u8) -> *mut u8 {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if block.is_null() && !TOLD.swap(true, Ordering::Relaxed) {
        let remedy = REMEDY.get().map_or("close other programs, or give smaller sizes", String::as_str);
        let mut error = std::io::stderr();
        for part in ["\nerror: memory has run out: ", remedy, "\n"] {
            error.write_all(part.as_bytes()).unwrap_or_default();
        }
    }
    block
}
