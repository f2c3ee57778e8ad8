//! What lies beyond the edge: the mirror image, the edge itself not repeated (`BORDER_REFLECT_101`).

/// The position within `length` that stands for `position`.
pub(super) fn mirrored(position: isize, length: usize) -> usize {
    let length = length as isize;
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let inside = position.rem_euclid(period);
    inside.min(period - inside) as usize
}
