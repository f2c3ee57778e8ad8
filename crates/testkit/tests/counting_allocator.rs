//! A test program of its own, because it has an allocator of its own: what is measured is what was taken.

use std::hint::black_box;

use lorabake_testkit::counting_allocator::{CountingAllocator, alone, peak_of};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MIB: usize = 1 << 20;

#[test]
fn the_peak_is_what_was_allocated_at_once() {
    let _alone = alone();
    let kept = peak_of(|| black_box(vec![1u8; 3 * MIB]));
    assert!((3 * MIB..4 * MIB).contains(&kept.bytes), "{}", kept.bytes);
    let one_after_another = peak_of(|| (0..10).map(|n| black_box(vec![n as u8; MIB]).len()).sum::<usize>());
    assert_eq!(one_after_another.value, 10 * MIB);
    assert!((MIB..2 * MIB).contains(&one_after_another.bytes), "{}", one_after_another.bytes);
    let on_another_thread = peak_of(|| std::thread::spawn(|| black_box(vec![0u8; 5 * MIB]).len()).join().unwrap());
    assert!((5 * MIB..6 * MIB).contains(&on_another_thread.bytes), "{}", on_another_thread.bytes);
    drop(kept.value);
    assert!(peak_of(|| ()).bytes < MIB);
}
