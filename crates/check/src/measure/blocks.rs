//! The grid of 8 × 8 blocks that strong JPEG compression leaves, also in files that were saved as PNG afterwards.
//!
//! Mean step of luma between neighbours across the borders of blocks, divided by the largest of those at the seven
//! other places within a block, and of rows and columns the smaller one: a drawing of a few edges has large steps at
//! some place by chance, but hardly at the borders in both directions. The grid is that of the file, from its left
//! upper corner; a picture that was cropped or resized after it was compressed shows none.

use lorabake_pixels::Gray;

const BLOCK: usize = 8;

/// Steps at the borders of blocks divided by those elsewhere; 1 for what is too small or flat to tell.
pub fn blockiness(luma: &Gray) -> f64 {
    let width = luma.width as usize;
    let height = luma.height as usize;
    if width < 4 * BLOCK || height < 4 * BLOCK {
        return 1.0;
    }
    let mut columns = [Steps::default(); BLOCK];
    for row in luma.data.chunks_exact(width) {
        for (x, pair) in row.windows(2).enumerate() {
            columns[x % BLOCK].add(pair[0], pair[1]);
        }
    }
    let mut rows = [Steps::default(); BLOCK];
    for y in 0..height - 1 {
        let above = &luma.data[y * width..][..width];
        let below = &luma.data[(y + 1) * width..][..width];
        for (one, other) in above.iter().zip(below) {
            rows[y % BLOCK].add(*one, *other);
        }
    }
    ratio(&columns).min(ratio(&rows))
}

/// The mean step at the border, divided by the largest elsewhere.
fn ratio(steps: &[Steps; BLOCK]) -> f64 {
    // So little that rounding decides.
    const LEAST: f64 = 0.05;
    let [others @ .., border] = steps;
    let most = others.iter().map(Steps::mean).fold(0.0, f64::max);
    if most < LEAST { 1.0 } else { border.mean() / most }
}

#[derive(Clone, Copy, Default)]
struct Steps {
    sum: u64,
    count: u64,
}

impl Steps {
    /// Steps that are more than this are edges of the picture.
    const MOST: u8 = 32;

    fn add(&mut self, one: u8, other: u8) {
        let step = one.abs_diff(other);
        if step <= Self::MOST {
            self.sum += u64::from(step);
            self.count += 1;
        }
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of one value each, with a slight slope inside, that begin at `first`.
    fn blocks(first: usize, down: bool) -> Gray {
        let mut image = Gray::filled((96, 96), [0]);
        for (index, value) in image.data.iter_mut().enumerate() {
            let x = (index % 96 + BLOCK - first) / BLOCK;
            let y = if down { (index / 96 + BLOCK - first) / BLOCK } else { 0 };
            *value = (60 + (x * 37 + y * 53) % 20 * 4 + index % 2 + index / 96 % 2) as u8;
        }
        image
    }

    #[test]
    fn a_grid_is_seen_where_jpeg_has_it_and_in_both_directions() {
        assert!(blockiness(&blocks(0, true)) > 5.0);
        assert!(blockiness(&blocks(3, true)) < 0.5);
        assert!(blockiness(&blocks(0, false)) <= 1.0);
        assert_eq!(blockiness(&Gray::filled((96, 96), [9])), 1.0);
    }
}
