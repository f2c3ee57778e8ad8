//! Several pictures on one sheet, as the web UI lays them out.
//!
//! Not here: labels, and the axes of a plot (`xyz`).

use anyhow::{Result, bail};

use crate::picture_file::Pixels;

/// Most pixels of a sheet.
pub const MOST_PIXELS: usize = 200_000_000;

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// As many as columns, as nearly as can be.
    Square,
    /// The most up to that number that leave no place empty.
    Full,
    /// So many; fewer where there are fewer pictures.
    Number(usize),
}

impl Rows {
    /// The web UI's setting `n_rows`: −1 is for `Square`, or `Full` if `prevent_empty`; 0 for a batch in a column.
    pub fn of_setting(n_rows: i64, batch_size: usize, prevent_empty: bool) -> Self {
        match n_rows {
            0 => Self::Number(batch_size),
            1.. => Self::Number(usize::try_from(n_rows).unwrap_or(usize::MAX)),
            _ if prevent_empty => Self::Full,
            _ => Self::Square,
        }
    }
}

/// Where pictures lie on a sheet: row after row, each in the middle of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureGrid {
    /// Cells above each other.
    pub rows: usize,
    /// Cells beside each other.
    pub columns: usize,
    /// Width and height of a cell in pixels, those of the widest and of the highest picture.
    pub cell: [usize; 2],
}

impl PictureGrid {
    /// For pictures of these widths and heights; `None` if there are none.
    pub fn new(sizes: &[[usize; 2]], rows: Rows) -> Option<Self> {
        let count = sizes.len();
        let width = sizes.iter().map(|size| size[0]).max()?;
        let height = sizes.iter().map(|size| size[1]).max()?;
        let root = (count as f64).sqrt();
        let rows = match rows {
            Rows::Square => root.round_ties_even() as usize,
            Rows::Full => (1..=root as usize).rev().find(|rows| count.is_multiple_of(*rows)).unwrap_or(1),
            Rows::Number(rows) => rows,
        };
        let rows = rows.clamp(1, count);
        Some(Self { rows, columns: count.div_ceil(rows), cell: [width, height] })
    }

    /// Width and height of the sheet in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.columns.saturating_mul(self.cell[0]), self.rows.saturating_mul(self.cell[1])]
    }

    /// The sheet, white where no picture is.
    ///
    /// # Errors
    /// When it would have more than 200 million pixels.
    ///
    /// # Panics
    /// If a picture is larger than a cell, or there are more than cells.
    pub fn paste(&self, pictures: &[Pixels]) -> Result<Pixels> {
        let [width, height] = self.size();
        if width.saturating_mul(height) > MOST_PIXELS {
            bail!("a grid of {width} by {height} pixels is larger than 200 megapixels; make fewer or smaller pictures");
        }
        let mut sheet = Pixels { width, height, rgb: vec![255; width * height * 3] };
        for (index, picture) in pictures.iter().enumerate() {
            let left = index % self.columns * self.cell[0] + (self.cell[0] - picture.width) / 2;
            let top = index / self.columns * self.cell[1] + (self.cell[1] - picture.height) / 2;
            for (row, pixels) in picture.rgb.chunks_exact(picture.width.max(1) * 3).enumerate() {
                sheet.rgb[((top + row) * width + left) * 3..][..pixels.len()].copy_from_slice(pixels);
            }
        }
        Ok(sheet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_in_the_middle_of_their_cells() {
        let plain = |width, height, value| Pixels { width, height, rgb: vec![value; width * height * 3] };
        let pictures = [plain(2, 1, 1), plain(1, 2, 2), plain(2, 2, 3)];
        let sizes: Vec<_> = pictures.iter().map(|picture| [picture.width, picture.height]).collect();
        let grid = PictureGrid::new(&sizes, Rows::Square).unwrap();
        let sheet = grid.paste(&pictures).unwrap();
        let red: Vec<u8> = sheet.rgb.iter().step_by(3).copied().collect();
        assert_eq!((sheet.width, sheet.height), (4, 4));
        assert_eq!(red, [1, 1, 2, 255, 255, 255, 2, 255, 3, 3, 255, 255, 3, 3, 255, 255]);
    }

    #[test]
    fn a_sheet_that_is_too_large_is_refused() {
        let grid = PictureGrid::new(&[[4096, 4096]; 16], Rows::Square).unwrap();
        assert!(grid.paste(&[]).unwrap_err().to_string().contains("16384 by 16384 pixels"));
        assert_eq!(PictureGrid::new(&[], Rows::Square), None);
        assert_eq!(PictureGrid::new(&[[1, 1]], Rows::Number(0)).unwrap().rows, 1);
    }
}
