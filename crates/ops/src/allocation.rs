//! How the process asks the system for memory.

/// Lets the process keep the memory that it has freed, for the next tensors.
///
/// A step frees and takes tens of megabytes again and again. By default glibc maps and unmaps these each time, and the
/// system zeroes every page anew, which took a sixth of a step. To be called before other threads start; elsewhere than
/// with glibc it does nothing.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes any numbers; no allocation is made meanwhile on another thread that it could disturb.
    unsafe {
        // One arena, since the others hold no large blocks; none of them mapped; and none given back.
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

/// Gives what is free at this moment back to the system after all: for when networks have been dropped that no later
/// step needs the room of. Elsewhere than with glibc it does nothing.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it touches free memory only, and locks the heap while it does.
    unsafe {
        libc::malloc_trim(0);
    }
}
