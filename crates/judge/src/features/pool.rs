//! An activation over positions as fewer numbers. All images of numbers here are (channels, rows, columns) row-major.

use std::ops::Range;

/// Patches on a side of the fine grid.
pub const GRID: usize = 16;
/// Patches on a side of the coarse grid.
pub const COARSE: usize = 8;
/// Cells on a side of the layout.
pub const LAYOUT: usize = 8;

/// A square grid of vectors, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Vectors on a side.
    pub side: usize,
    /// Numbers in a vector.
    pub width: usize,
    /// All vectors, one after another.
    pub values: Vec<f32>,
}

impl Patches {
    /// `side` × `side` patches of an activation of `[channels, rows, columns]`.
    pub fn of(values: &[f32], shape: [usize; 3], side: usize) -> Self {
        let width = shape[0];
        let cells = pooled(values, shape, side);
        let mut vectors = Vec::with_capacity(cells.len());
        for cell in 0..side * side {
            vectors.extend(cells.iter().skip(cell).step_by(side * side));
        }
        Self { side, width, values: vectors }
    }

    /// The vectors, row by row.
    pub fn vectors(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }
}

/// The mean of each channel over all positions, then the standard deviation of each (with n, as numpy's `std`).
pub fn moments(values: &[f32], [channels, rows, columns]: [usize; 3]) -> Vec<f32> {
    let positions = (rows * columns) as f64;
    let mut means = Vec::with_capacity(2 * channels);
    let mut spreads = Vec::with_capacity(channels);
    for plane in values.chunks_exact(rows * columns) {
        let mean = plane.iter().map(|value| f64::from(*value)).sum::<f64>() / positions;
        let squares: f64 = plane.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
        means.push(mean as f32);
        spreads.push((squares / positions).sqrt() as f32);
    }
    means.extend(spreads);
    means
}

/// Means over `side` × `side` cells of each channel, as torch's `adaptive_avg_pool2d`: neighbouring cells share a row or
/// column where the sides do not divide, and repeat one where there are fewer of them than cells.
pub fn pooled(values: &[f32], [_, rows, columns]: [usize; 3], side: usize) -> Vec<f32> {
    let mut means = Vec::new();
    for plane in values.chunks_exact(rows * columns) {
        for down in 0..side {
            for across in 0..side {
                means.push(mean(plane, columns, cell(down, rows, side), cell(across, columns, side)));
            }
        }
    }
    means
}

/// The positions that cell `index` of `side` covers along `length` positions.
fn cell(index: usize, length: usize, side: usize) -> Range<usize> {
    index * length / side..((index + 1) * length).div_ceil(side)
}

fn mean(plane: &[f32], stride: usize, rows: Range<usize>, columns: Range<usize>) -> f32 {
    let count = rows.len() * columns.len();
    let mut sum = 0.0;
    for row in rows {
        for value in &plane[row * stride..][columns.clone()] {
            sum += f64::from(*value);
        }
    }
    (sum / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_those_of_torch() {
        // torch.nn.functional.adaptive_avg_pool2d(torch.arange(15.).reshape(1, 1, 3, 5), 2)
        let values: Vec<f32> = (0..15).map(|value| value as f32).collect();
        assert_eq!(pooled(&values, [1, 3, 5], 2), [3.5, 5.5, 8.5, 10.5]);
        // … of torch.arange(4.).reshape(1, 1, 2, 2) to 3.
        assert_eq!(pooled(&values[..4], [1, 2, 2], 3), [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn means_come_before_spreads() {
        let values = [1.0, 3.0, 1.0, 3.0, 5.0, 5.0, 5.0, 5.0];
        assert_eq!(moments(&values, [2, 2, 2]), [2.0, 5.0, 1.0, 0.0]);
    }

    #[test]
    fn patches_are_vectors_over_channels() {
        let mut values = vec![1.0; 256];
        values.extend(vec![2.0; 256]);
        values[17] = 9.0;
        let patches = Patches::of(&values, [2, 16, 16], 16);
        let vectors: Vec<_> = patches.vectors().collect();
        assert_eq!(vectors.len(), 256);
        assert_eq!(vectors[0], [1.0, 2.0]);
        assert_eq!(vectors[17], [9.0, 2.0]);
    }
}
