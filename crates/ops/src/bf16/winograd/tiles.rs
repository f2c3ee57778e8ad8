//! How the output of an image is cut into tiles of 2 × 2 pixels, and tiles into panels.

use std::ops::Range;

use crate::bf16::tile::COLUMNS;
use crate::conv_shape::Plane;

/// The tiles of one image, row by row.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    /// Height of the output.
    pub height: usize,
    /// Width of the output.
    pub width: usize,
    /// Zeros on each side of the input, 1 or 0.
    pub padding: usize,
}

/// Neighbouring tiles of one row of tiles: the row, the first tile's column, their place in the panel, their number.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub row: usize,
    pub column: usize,
    pub place: usize,
    pub count: usize,
}

impl Tiling {
    pub fn of(plane: Plane) -> Self {
        Self { height: plane.out_height, width: plane.out_width, padding: (plane.out_height + 2 - plane.height) / 2 }
    }

    /// Height and width of the input.
    pub fn input(&self) -> [usize; 2] {
        [self.height, self.width].map(|side| side + 2 - 2 * self.padding)
    }

    pub fn count(&self) -> usize {
        self.height.div_ceil(2) * self.width.div_ceil(2)
    }

    pub fn panels(&self) -> usize {
        self.count().div_ceil(COLUMNS)
    }

    pub fn segments(&self, tiles: Range<usize>) -> Vec<Segment> {
        let across = self.width.div_ceil(2);
        let rows = tiles.start / across..tiles.end.div_ceil(across);
        rows.map(|row| {
            let (from, to) = ((row * across).max(tiles.start), ((row + 1) * across).min(tiles.end));
            Segment { row, column: from - row * across, place: from - tiles.start, count: to - from }
        })
        .collect()
    }
}
