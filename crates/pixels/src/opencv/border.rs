//! What lies beyond the edge: the mirror image, the edge itself not repeated (`BORDER_REFLECT_101`).

/// The positions that a kernel of `size` sees along a side of `length`: the first `size` of them around position 0, those from
/// the second on around position 1, and so on.
pub(super) fn seen(length: usize, size: usize) -> Vec<usize> {
    let before = (size / 2) as isize;
    (0..(length + size - 1) as isize).map(|at| mirrored(at - before, length)).collect()
}

/// The position within `length` that stands for `position`.
fn mirrored(position: isize, length: usize) -> usize {
    let length = length as isize;
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let inside = position.rem_euclid(period);
    inside.min(period - inside) as usize
}
