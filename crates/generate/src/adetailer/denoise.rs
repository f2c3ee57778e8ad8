//! How much of a small or large area is painted anew.

/// `denoise` × (1 − share of the picture)^`power`: with a power above 0 large areas change less, with one below 0 more.
/// The result may be above 1 then, so limit it. `bounds` are left, top, right and bottom, `size` width and height.
pub fn dynamic_denoise(denoise: f64, power: f64, bounds: [f64; 4], size: [usize; 2]) -> f64 {
    if power.abs() < 1e-9 {
        return denoise;
    }
    let [left, top, right, bottom] = bounds;
    let share = (right - left) * (bottom - top) / (size[0] as f64 * size[1] as f64);
    denoise * (1.0 - share).max(0.0).powf(power)
}
